"""The receiver's own metrics."""

from prometheus_client import Counter, Gauge

FATES = Counter("genvideo_callbacks", "Callbacks by their fate", ["fate"])
WAITING = Gauge("genvideo_callbacks_waiting", "Callbacks kept on disk until Temporal is back")
QUARANTINED = Gauge(
    "genvideo_callbacks_quarantined", "Callbacks of a job or task that isn't known yet"
)
