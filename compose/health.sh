#!/bin/bash
# Health check of a container: does PATH answer 200 on PORT? One process, no interpreter to start.
set -u
port=$1 path=$2
exec 3<>"/dev/tcp/127.0.0.1/$port" || exit 1
printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$path" >&3
read -r -t 4 answer <&3 || exit 1
[[ $answer == *' 200 '* ]]
