"""The API's own metrics."""

from prometheus_client import Counter, Gauge

SUBMITTED = Counter("genvideo_api_jobs_submitted", "Jobs that were started")
SUBSCRIBERS = Gauge("genvideo_api_subscribers", "Listeners on WebSocket and server-sent events")
CHANGES = Counter("genvideo_api_changes", "Versions of jobs sent to listeners")
REFUSED = Counter("genvideo_api_refused", "Requests refused before any route", ["code"])
TEMPORAL_CALLS = Counter("genvideo_api_temporal_calls", "Calls to Temporal", ["call"])
FORGOTTEN = Counter("genvideo_api_forgotten", "Jobs removed after RETENTION_DAYS")
REPAIRED = Counter("genvideo_api_records_repaired", "Records repaired", ["why"])
