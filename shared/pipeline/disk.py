"""Report a disk that refuses writes; jobs go on."""

import asyncio
import contextlib
from pathlib import Path

import structlog
from prometheus_client import Counter

from shared.files import ROOM, write_atomic
from shared.store.chosen import trial
from shared.store.protocol import Store, StoreAway

log = structlog.get_logger(__name__)

REFUSED = Counter("genvideo_worker_disk_refused", "Writes that the disk refused", ["folder"])

PROBE = bytes(ROOM)


class Disk:
    """The folders that recently refused a write: in the log, in a metric, and in `/readyz`.

    With a bucket these are its prefixes, and the folder for downloads.
    """

    def __init__(self, data_dir: Path, store: Store | None = None) -> None:
        self._data_dir = data_dir
        self._store = store
        self._refused: set[str] = set()

    def refused(self, folder: str, error: OSError, **what: object) -> None:
        """Note that a write below this folder of the data has failed."""
        self._refused.add(folder)
        REFUSED.labels(folder).inc()
        log.error("the disk refuses a write", folder=folder, reason=reason_of(error), **what)

    async def reason(self) -> str | None:
        """Return which folder refuses writes, and why; it is tried until it accepts one."""
        tried = {each: await asyncio.to_thread(self._try, each) for each in sorted(self._refused)}
        self._refused = {each for each, reason in tried.items() if reason}
        return "; ".join(f"{each}: {tried[each]}" for each in sorted(self._refused)) or None

    def _try(self, folder: str) -> str | None:
        probe = self._data_dir / folder / ".probe"
        try:
            if self._store is not None and not self._store.local:
                trial(self._store)
            write_atomic(probe, PROBE)
        except OSError as error:
            return reason_of(error)
        with contextlib.suppress(OSError):
            probe.unlink()
        return None


def explained(error: OSError) -> str:
    return error.message if isinstance(error, StoreAway) else f"Our disk: {reason_of(error)}"


def reason_of(error: OSError) -> str:
    """Return the reason, such as `No space left on device`, without a path."""
    return error.strerror or type(error).__name__
