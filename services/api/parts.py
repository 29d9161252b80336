"""What the API's parts share: feed, records, Temporal, and the dependencies of `/readyz`.

Unless all dependencies are ready, nothing is changed.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from temporalio.client import Client

from services.api.feed import Feed
from services.api.settings import ApiSettings
from services.api.temporal import Temporal
from shared.health import Check, reasons_of, temporal_reason
from shared.http.web import not_ready
from shared.store.assets import Assets
from shared.store.chosen import store_reason
from shared.store.records import Records

T = TypeVar("T")

# An answer is used again for this long.
FRESH_SECONDS = 1.0


class Fresh(Generic[T]):
    """One answer for all callers; another one is requested once it is older than a second."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._asking: asyncio.Future[T] | None = None
        self._asked_at = float("-inf")

    async def get(self) -> T:
        """Return the answer; a caller that leaves does not cancel it for the others."""
        return await asyncio.shield(self.asking())

    def asking(self) -> asyncio.Future[T]:
        """Return the present request, which may be done."""
        task = self._asking
        if task is None or (task.done() and time.monotonic() - self._asked_at >= FRESH_SECONDS):
            task = asyncio.ensure_future(self._ask())
            # Retrieve a failure that no caller awaits any more.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._keep(task)
        return task

    def put(self, answer: T) -> None:
        """Replace a request under way, whose answer may be from before."""
        known = asyncio.get_running_loop().create_future()
        known.set_result(answer)
        self._keep(known)

    def _keep(self, task: asyncio.Future[T]) -> None:
        self._asking, self._asked_at = task, time.monotonic()


class Dependencies:
    """The dependencies by name, each with the check that says why it is not ready."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._fresh = Fresh(self.reasons)

    async def reasons(self) -> Mapping[str, str | None]:
        """Return why each is not ready now, or None."""
        return await reasons_of({name: check() for name, check in self._checks.items()})

    async def require(self) -> None:
        """Raise NotReady with the reasons unless all were ready within the last second."""
        error = not_ready(await self._fresh.get())
        if error is not None:
            raise error


@dataclass(frozen=True, kw_only=True)
class Parts:
    feed: Feed
    records: Records
    temporal: Temporal
    dependencies: Dependencies


def dependencies_of(settings: ApiSettings, client: Client, assets: Assets) -> Dependencies:
    """Return Temporal and the store."""
    checks: dict[str, Check] = {"temporal": lambda: temporal_reason(client)}
    if settings.elsewhere:
        checks["store"] = lambda: store_reason(assets.store)
    else:
        checks["state"] = lambda: asyncio.to_thread(_state, settings.data_dir / "state" / "jobs")
    return Dependencies(checks)


def _state(folder: Path) -> str | None:
    with suppress(OSError):
        # Someone may have removed it.
        folder.mkdir(parents=True, exist_ok=True)
    return None if os.access(folder, os.R_OK | os.X_OK) else f"{folder} can't be read"
