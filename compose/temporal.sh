#!/bin/sh
# Starts the Temporal server of both modes; its database in DATA_DIR outlives it.
set -euf
umask 077
here=$(dirname "$0")
host=${LISTEN_HOST:-127.0.0.1}
database=$DATA_DIR/temporal/temporal.db
port=${TEMPORAL_PORT:-7233}
ui_port=${TEMPORAL_UI_PORT:-8080}
free='import socket, sys; s = socket.socket(); s.bind((sys.argv[1], 0)); print(s.getsockname()[1])'
metrics_port=$(python3 -I -c "$free" "$host")
# The program reads the client's variables, too, and has no use for them as a server.
unset TEMPORAL_ADDRESS TEMPORAL_NAMESPACE TEMPORAL_API_KEY TEMPORAL_PROFILE TEMPORAL_CONFIG_FILE
# The server asks who runs it, and a container knows no name for that.
export USER="${USER:-genvideo}" HOME="${HOME:-/tmp}"
# The UI itself listens where no page can guess it; elsewhere than on Linux, loopback is one address.
# shellcheck disable=SC2046 # words are wanted: one number each
set -- $(od -An -N5 -tu1 /dev/urandom)
real_ui_host=127.$((1 + $1 % 254)).$2.$((1 + $3 % 254))
[ "$(uname)" = Linux ] || real_ui_host=127.0.0.1
real_ui_port=$((10240 + ($4 * 256 + $5) % 22528))
# What stands before it lives as long as the server, which this shell becomes.
server=$$
while kill -0 "$server" 2>/dev/null; do
    PYTHONPATH=$here/.. python3 -P -m compose.ui_proxy "$host" "$ui_port" "$real_ui_host" \
        "$real_ui_port" "$server" "$metrics_port" || sleep 1
done &
# shellcheck disable=SC2046 # words are wanted: one argument a line, none with blanks
exec temporal server start-dev \
    --db-filename "$database" --ip "$host" --port "$port" \
    --ui-ip "$real_ui_host" --ui-port "$real_ui_port" --metrics-port "$metrics_port" \
    ${UI_CODEC_ENDPOINT:+--ui-codec-endpoint "$UI_CODEC_ENDPOINT"} \
    $(grep -v '^#' "$here/temporal.args")
