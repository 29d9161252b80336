"""The stream of job changes from WS /ws/jobs; it reconnects for ever and never raises."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from pydantic import SecretStr
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from loadtest.wire.http import bearer


class Feed:
    """Hands every frame to a callback until the task that runs it is cancelled."""

    def __init__(
        self,
        api_url: str,
        on_job: Callable[[dict[str, Any]], None],
        *,
        token: SecretStr | None = None,
    ) -> None:
        self._url = "ws" + api_url.removeprefix("http") + "/ws/jobs"
        self._headers = bearer(token)
        self._on_job = on_job
        self.connected = False
        self.connections = 0

    async def run(self) -> None:
        """Listen; after a break wait a little, then connect again."""
        while True:
            try:
                await self._listen()
            except (OSError, WebSocketException, TimeoutError):
                pass
            finally:
                self.connected = False
            await asyncio.sleep(0.5)

    async def _listen(self) -> None:
        async with connect(
            self._url,
            additional_headers=self._headers,
            proxy=None,
            max_size=2**24,
            open_timeout=5,
        ) as socket:
            self.connected, self.connections = True, self.connections + 1
            async for frame in socket:
                self._hand_over(frame)

    def _hand_over(self, frame: str | bytes) -> None:
        try:
            job = json.loads(frame)
        except ValueError:
            return
        if isinstance(job, dict) and isinstance(job.get("job_id"), str):
            self._on_job(job)
