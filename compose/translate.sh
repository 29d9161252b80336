#!/bin/sh
# Says in the shell's language what comes in: in Chinese where a Python can, and in English otherwise.
{ true 3>&1; } 2>/dev/null || exec >/dev/null
case "${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}" in
'' | C | C.* | POSIX*) exec cat ;;
esac
case "${LANGUAGE:-${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}}" in
zh* | ZH*) ;;
*) exec cat ;;
esac
text=$(cat)
said='import sys
from shared.texts import localized, replace_unprintable
replace_unprintable()
print(localized(sys.stdin.buffer.read().decode()))'
cd "$(dirname "$0")/.." || exit 1
chinese=$(printf '%s' "$text" | "${PYTHON:-python3}" -c "$said" 2>/dev/null) && text=$chinese
printf '%s\n' "$text"
