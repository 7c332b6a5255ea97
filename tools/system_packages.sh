#!/bin/bash
# What Python's registry cannot bring: Chromium, for the browser tests.
set -uo pipefail
command -v chromium >/dev/null && exit 0
install="apt-get install -y -qq chromium"
if command -v apt-get >/dev/null; then
    if [ "$(id -u)" = 0 ]; then apt-get update -qq && $install >/dev/null
    elif sudo -n true 2>/dev/null; then sudo apt-get update -qq && sudo $install >/dev/null; fi
fi
command -v chromium >/dev/null && exit 0
echo "Chromium is missing: install Debian's package chromium. The tests in tests/test_browser.py are left out."
[ "${CI:-}" != true ]
