#!/bin/sh
# Finds a Python of 3.11 or newer and hands the command to compose/venv.py; needs nothing but a POSIX shell.
set -u
# What was closed for us would else be the first file that we open, and be written into.
{ true 3<&0; } 2>/dev/null || exec </dev/null
{ true 3>&1; } 2>/dev/null || exec >/dev/null
true 3>&2 || exec 2>/dev/null
cd "$(dirname "$0")/.." || exit 2
# make's own flags must not reach a make that a test or a tool starts; another project's modules, or
# another Python's, must not come before ours.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES PYTHONHOME PYTHONPATH PYTHONSAFEPATH PYTHONUTF8

# Its path, where it is new enough: a name may be that of a program that looks for Python for longer
# than Python takes to start.
path_of() {
    "$1" -c 'import sys; sys.exit(1) if sys.version_info < (3, 11) else print(sys.executable)' 2>/dev/null
}

candidates=${PYTHON:-python3.13 python3.12 python3.11 python3.14 python3}
for python in $candidates; do
    found=$(path_of "$python") && exec "$found" compose/venv.py "$@"
done

found=
for python in $candidates; do
    version=$("$python" --version 2>&1) && found="$found${found:+, }$python is $version"
done
echo "Python 3.11 or newer is needed (${found:-none found}): apt-get install python3 python3-venv, or name one with PYTHON=…" >&2
exit 2
