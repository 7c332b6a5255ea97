#!/bin/bash
# What Python's registry cannot bring: Chromium, for the tests that look at pages, Java, for those that run Spark,
# and the OpenMP library that LightGBM loads.
# Installed from Debian's packages where that is allowed; otherwise this says what to install and what is left out.
set -uo pipefail
lacking() {
    command -v chromium >/dev/null || echo chromium
    command -v java >/dev/null || echo default-jre-headless
    [ -n "$(PATH=$PATH:/sbin ldconfig -p | grep 'libgomp\.so\.1')" ] || echo libgomp1
}
packages=$(lacking | xargs)
[ -z "$packages" ] && exit 0
as_root=()
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root=(sudo -n); else as_root=(false); fi
fi
if command -v apt-get >/dev/null && [ "${as_root[*]:-}" != false ]; then
    echo "installing Debian's packages: $packages"
    quiet=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120)
    { "${as_root[@]}" "${quiet[@]}" update && "${as_root[@]}" "${quiet[@]}" install -y $packages; } >/dev/null ||
        echo "apt-get could not install them"
fi
packages=$(lacking | xargs)
[ -z "$packages" ] && exit 0
if [ "${CI:-}" = true ]; then
    echo "Missing, and CI leaves nothing out. Install Debian's packages: $packages" >&2
    exit 1
fi
echo "Missing: Debian's packages $packages. Until then tests/test_browser.py (chromium), the Spark tests (Java) and those of LightGBM (libgomp1) are left out."
