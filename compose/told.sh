#!/bin/sh
# Says in the shell's language what comes in; needs a Python in Chinese alone.
case "${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}" in
'' | C | C.* | POSIX*) exec cat ;;
esac
case "${LANGUAGE:-${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}}" in
zh* | ZH*) exec "$(dirname "$0")/stack.sh" told ;;
*) exec cat ;;
esac
