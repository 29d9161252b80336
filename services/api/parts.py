"""What the API's parts share: feed, records, Temporal, and the dependencies of `/readyz`.

Unless all dependencies are ready, nothing is changed.
"""

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from services.api.feed import Feed
from services.api.settings import ApiSettings
from services.api.temporal import Temporal
from shared.health import Check, reasons_of, temporal_reason
from shared.http.web import not_ready
from shared.store.assets import Assets
from shared.store.chosen import store_reason
from shared.store.records import Records

# An answer is used again for this long.
FRESH_SECONDS = 1.0


class Dependencies:
    """The dependencies by name, each with the check that says why it is not ready."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._asking: asyncio.Task[Mapping[str, str | None]] | None = None
        self._asked_at = float("-inf")

    async def reasons(self) -> Mapping[str, str | None]:
        """Return why each is not ready now, or None."""
        return await reasons_of({name: check() for name, check in self._checks.items()})

    async def require(self) -> None:
        """Raise NotReady with the reasons unless all were ready within the last second."""
        task = self._asking
        if task is None or (task.done() and time.monotonic() - self._asked_at >= FRESH_SECONDS):
            self._asked_at = time.monotonic()
            task = self._asking = asyncio.create_task(self.reasons())
        # One check serves all callers, so none of them may cancel it by leaving.
        error = not_ready(await asyncio.shield(task))
        if error is not None:
            raise error


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What each part works with."""

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
        checks["state"] = lambda: _state(settings.data_dir / "state" / "jobs")
    return Dependencies(checks)


async def _state(folder: Path) -> str | None:
    readable = await asyncio.to_thread(os.access, folder, os.R_OK | os.X_OK)
    return None if readable else f"{folder} can't be read"
