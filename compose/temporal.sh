#!/bin/sh
# Starts the Temporal server of both modes; its database in DATA_DIR outlives it.
set -eu
here=$(dirname "$0")
host=${LISTEN_HOST:-127.0.0.1}
database=$DATA_DIR/temporal/temporal.db
port=${TEMPORAL_PORT:-7233}
ui_port=${TEMPORAL_UI_PORT:-8080}
# The program reads the client's variables, too, and has no use for them as a server.
unset TEMPORAL_ADDRESS TEMPORAL_NAMESPACE TEMPORAL_API_KEY TEMPORAL_PROFILE
# The server asks who runs it, and a container knows no name for that.
export USER="${USER:-genvideo}" HOME="${HOME:-/tmp}"
# shellcheck disable=SC2046 # words are wanted: one argument a line, none with blanks
exec temporal server start-dev \
    --db-filename "$database" --ip "$host" --port "$port" --ui-ip "$host" --ui-port "$ui_port" \
    ${UI_CODEC_ENDPOINT:+--ui-codec-endpoint "$UI_CODEC_ENDPOINT"} \
    $(grep -v '^#' "$here/temporal.args")
