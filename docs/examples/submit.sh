#!/bin/sh
# One job by curl, from its submission to its video: sh docs/examples/submit.sh "a red fox in snow"
set -eu
api=${API_URL:-http://127.0.0.1:8000}
prompt=${1:-a red fox in snow}

ask() { curl -fsS ${API_TOKEN:+-H "Authorization: Bearer $API_TOKEN"} "$@"; }
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
body=$(python3 -c 'import json, sys; print(json.dumps({"prompt": sys.argv[1], "style": "ink"}))' "$prompt")

# The key makes a repeat harmless: the same key and body give the same job.
job_id=$(ask -X POST "$api/jobs" -H 'Content-Type: application/json' \
    -H "Idempotency-Key: example-$(date +%s)-$$" -d "$body" | field job_id)
echo "job $job_id"

# One event per change; the stream ends with the job.
ask -N "$api/jobs/$job_id/events" | sed -n 's/^data: //p' | while read -r job; do
    echo "version $(echo "$job" | field version): $(echo "$job" | field status)"
done

status=$(ask "$api/jobs/$job_id" | field status)
[ "$status" = succeeded ] || { echo "it ended as $status"; exit 1; }
ask -o "${OUTPUT:-$job_id.mp4}" "$api/jobs/$job_id/video"
echo "stored ${OUTPUT:-$job_id.mp4}"
