#!/bin/sh
# Finds a Python of 3.11 or newer and hands the command to compose/stack; needs nothing but a POSIX shell.
set -u
cd "$(dirname "$0")/.." || exit 2
# make's own flags must not reach a make that a test or a tool starts.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
can_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

candidates=${PYTHON:-python3.13 python3.12 python3.11 python3.14 python3}
fallback=
for python in $candidates; do
    new_enough "$python" || continue
    can_venv "$python" && exec "$python" -m compose.stack "$@"
    fallback=${fallback:-$python}
done
# Without its venv module a Python is still good enough for containers.
[ -n "$fallback" ] && exec "$fallback" -m compose.stack "$@"

found=
for python in $candidates; do
    version=$("$python" --version 2>&1) && found="$found${found:+, }$python is $version"
done
echo "Python 3.11 or newer is needed (${found:-none found}): apt-get install python3 python3-venv, or name one with PYTHON=…" >&2
exit 2
