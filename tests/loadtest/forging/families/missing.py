"""A whole book is gone."""

from collections.abc import Callable, Iterable

from loadtest.books import raw
from tests.loadtest.forging.kit import FORGERIES, Forger, Forgery

BOOKS = (
    *(raw.SUBMITS, raw.JOBS, raw.EXECUTIONS, raw.TEMPORAL, raw.STATES, raw.FILES, raw.RECEIPTS),
    *(raw.LEDGERS["image"], raw.LEDGERS["video"], raw.SLOTS, raw.FRAMES, raw.CLOCKS, raw.STAGES),
    raw.VENDORS,
)


def _emptied(name: str) -> Callable[[Forger], Iterable[str]]:
    def tell(f: Forger) -> Iterable[str]:
        f.folder.write(name, {}) if name.endswith(".json") else f.put(name, [])
        return ()

    tell.__name__ = name.replace(".", "_")
    return tell


FORGERIES.extend(Forgery("missing", _emptied(name)) for name in BOOKS)
