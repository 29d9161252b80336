"""The receiver's own metrics."""

from prometheus_client import Counter, Gauge

FATES = Counter("genvideo_callbacks", "Callbacks by their fate", ["fate"])
WAITING = Gauge("genvideo_callbacks_waiting", "Callbacks kept on disk until Temporal is back")
