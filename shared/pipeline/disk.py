"""Report a disk that refuses writes; jobs go on."""

import structlog
from prometheus_client import Counter

from shared.store.protocol import StoreAway, reason_of

log = structlog.get_logger(__name__)

REFUSED = Counter("genvideo_worker_disk_refused", "Writes that the disk refused", ["folder"])


def note_refusal(folder: str, error: OSError, **what: object) -> None:
    """Note that a write below this folder of the data, or prefix of the bucket, has failed."""
    REFUSED.labels(folder).inc()
    log.error("the disk refuses a write", folder=folder, reason=reason_of(error), **what)


def explained(error: OSError) -> str:
    return error.message if isinstance(error, StoreAway) else f"Our disk: {reason_of(error)}"
