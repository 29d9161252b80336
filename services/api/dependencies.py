"""What the API depends on, as `/readyz` tells it; unless all of it is ready, nothing is changed."""

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path

from temporalio.client import Client

from services.api.settings import ApiSettings
from shared.health import Check, reasons_of, temporal_reason
from shared.http.web import not_ready
from shared.store.assets import Assets
from shared.store.chosen import store_reason
from shared.store.records import RecordStore

# A look is used again for so long.
FRESH_SECONDS = 1.0


class Dependencies:
    """Each by its name, with the check that says why it is not ready."""

    def __init__(
        self, checks: Mapping[str, Check], *, fresh_seconds: float = FRESH_SECONDS
    ) -> None:
        self._checks = checks
        self._fresh_seconds = fresh_seconds
        self._asking: asyncio.Task[Mapping[str, str | None]] | None = None
        self._asked_at = float("-inf")

    async def reasons(self) -> Mapping[str, str | None]:
        """Why each is not ready now, None where it is."""
        return await reasons_of({name: check() for name, check in self._checks.items()})

    async def require(self) -> None:
        """NotReady with the reasons unless all were ready, up to a second ago."""
        task = self._asking
        if task is None or (
            task.done() and time.monotonic() - self._asked_at >= self._fresh_seconds
        ):
            self._asked_at = time.monotonic()
            task = self._asking = asyncio.create_task(self._look())
        # One look serves all who ask: none of them may cancel it for the others by leaving.
        error = not_ready(await asyncio.shield(task))
        if error is not None:
            raise error

    async def _look(self) -> Mapping[str, str | None]:
        return await self.reasons()


def dependencies_of(settings: ApiSettings, client: Client, assets: Assets) -> Dependencies:
    """Temporal, and where the records are kept."""
    checks: dict[str, Check] = {"temporal": lambda: temporal_reason(client)}
    if settings.elsewhere:
        checks["store"] = lambda: store_reason(assets.store)
    else:
        checks["state"] = lambda: _state(RecordStore(settings.data_dir).folder)
    return Dependencies(checks)


async def _state(folder: Path) -> str | None:
    readable = await asyncio.to_thread(os.access, folder, os.R_OK | os.X_OK)
    return None if readable else f"{folder} can't be read"
