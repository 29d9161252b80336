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
chinese=$(printf '%s\n' "$text" | "$(dirname "$0")/stack.sh" told 2>/dev/null) && text=$chinese
printf '%s\n' "$text"
