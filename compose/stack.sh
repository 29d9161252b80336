#!/bin/sh
# Finds a Python of 3.11 or newer and hands the command to compose/stack; needs nothing but a POSIX shell.
set -u
# What was closed for us would else be the first file that we open, and be written into.
{ true 3<&0; } 2>/dev/null || exec </dev/null
{ true 3>&1; } 2>/dev/null || exec >/dev/null
true 3>&2 || exec 2>/dev/null
cd "$(dirname "$0")/.." || exit 2
# make's own flags must not reach a make that a test or a tool starts.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

# Fails where it is too old; else says whether it can make an environment, and which program it is:
# what has the name may be one that looks for it, for longer than it takes to start.
examined() {
    "$1" -c 'if True:
        import sys
        from importlib.util import find_spec
        if sys.version_info < (3, 11): sys.exit(1)
        print("whole" if find_spec("ensurepip") and find_spec("venv") else "bare", sys.executable)' \
        2>/dev/null
}

candidates=${PYTHON:-python3.13 python3.12 python3.11 python3.14 python3}
fallback=
for python in $candidates; do
    found=$(examined "$python") || continue
    python=${found#* }
    [ "${found%% *}" = whole ] && exec "$python" -m compose.stack "$@"
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
