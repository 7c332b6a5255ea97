#!/bin/bash
# What Python's registry cannot bring: Chromium, for the tests that look at pages. Installed from Debian's
# packages where that is allowed; otherwise this says what to install and what is left out.
set -uo pipefail
have() { command -v chromium >/dev/null; }
have && exit 0
as_root=()
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root=(sudo -n); else as_root=(false); fi
fi
if command -v apt-get >/dev/null && [ "${as_root[*]:-}" != false ]; then
    echo "installing Debian's package chromium"
    quiet=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120)
    { "${as_root[@]}" "${quiet[@]}" update && "${as_root[@]}" "${quiet[@]}" install -y chromium; } >/dev/null ||
        echo "apt-get could not install it"
fi
have && exit 0
if [ "${CI:-}" = true ]; then
    echo "Chromium is missing, and CI leaves nothing out: install Debian's package chromium." >&2
    exit 1
fi
echo "Chromium is missing: install Debian's package chromium. Until then tests/test_browser.py is left out."
