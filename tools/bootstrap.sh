#!/bin/sh
# Makes .venv/ with uv in it, from nothing but python3. Called by make; safe to call again.
set -eu

PYTHON=${PYTHON:-python3}
VENV=.venv
UV='uv>=0.9'

say() { echo "venv: $*"; }
fail() { echo "venv: $*" >&2; exit 1; }

command -v "$PYTHON" >/dev/null 2>&1 || fail "$PYTHON is missing; install Debian's python3 or pass PYTHON=/path/to/python3"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$PYTHON" --version 2>&1) is too old; lapse needs Python 3.11 or later (pass PYTHON=/path/to/python3)"

install_python3_venv() {
    command -v apt-get >/dev/null 2>&1 || return 1
    if [ "$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo='sudo -n'; else return 1; fi
    say "installing Debian's python3-venv"
    $sudo apt-get update -qq >/dev/null 2>&1 || true
    $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends python3-venv >/dev/null 2>&1
}

works() { [ -x "$VENV/bin/python" ] && "$VENV/bin/python" -c '' 2>/dev/null; }
has_uv() { [ -x "$VENV/bin/uv" ] && "$VENV/bin/uv" --version >/dev/null 2>&1; }

if ! works || { ! has_uv && ! "$VENV/bin/python" -c 'import pip' 2>/dev/null; }; then
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || install_python3_venv ||
        fail "python3 has no venv module here; run: apt-get install python3-venv"
    say "making $VENV with $("$PYTHON" --version 2>&1)"
    rm -rf "$VENV"
    "$PYTHON" -m venv "$VENV"
fi

if ! has_uv; then
    say "installing uv"
    "$VENV/bin/python" -m pip install --quiet --quiet --disable-pip-version-check "$UV"
fi
