#!/bin/sh
# Sees that a virtual environment can be made with the Python given as $1; installs Debian's python3-venv where it may.
python=$1

if ! command -v "$python" >/dev/null 2>&1; then
    echo "Treadle needs Python 3.11 or newer, and there is no \"$python\" here." >&2
    echo "Install it (Debian: apt install python3 python3-venv), or name yours: make PYTHON=/path/to/python3 ..." >&2
    exit 1
fi

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Treadle needs Python 3.11 or newer; \"$python\" is $("$python" --version 2>&1)." >&2
    echo "Name another one: make PYTHON=/path/to/python3.12 ..." >&2
    exit 1
fi

can_make_venv() { "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; }

can_make_venv && exit 0

. "$(dirname "$0")/debian.sh"
package="$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
if may_install; then
    echo "Installing $package ..."
    install_packages "$package" || install_packages python3-venv
fi

can_make_venv && exit 0
echo "\"$python\" cannot make virtual environments: its ensurepip module is missing." >&2
echo "On Debian and Ubuntu run: sudo apt install python3-venv" >&2
exit 1
