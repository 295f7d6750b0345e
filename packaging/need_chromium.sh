#!/bin/sh
# Sees that there is a Chromium for the browser tests; installs Debian's where it may.
# TREADLE_CHROMIUM names one that is not on the PATH.

find_chromium() {
    for name in "$TREADLE_CHROMIUM" chromium chromium-browser google-chrome google-chrome-stable; do
        [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 && return 0
    done
    return 1
}

find_chromium && exit 0

. "$(dirname "$0")/debian.sh"
if may_install; then
    echo "Installing Chromium for the browser tests ..."
    install_packages chromium fonts-liberation
fi

find_chromium && exit 0
echo "The browser tests need Chromium, and it could not be installed from here." >&2
echo "On Debian and Ubuntu run: sudo apt install chromium" >&2
echo "Or name a Chromium or Chrome that you have: TREADLE_CHROMIUM=/path/to/chrome make test" >&2
exit 1
