"""Those who watch: each follows its jobs to their ends, over broken connections."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.stack.driver import ENDED
from tools.hosts.site import TOKEN

HEADERS = {"Authorization": f"Bearer {TOKEN}"}
# Longer than the API is ever silent: a comment comes every 10 s, a ping every 20 s.
SILENT_SECONDS = 30.0
PAUSE_SECONDS = 1.0


@dataclass
class Reader:
    """`versions`: of each job, in the order in which they came; `breaks`: how often it was cut."""

    waiting: set[str]
    versions: dict[str, list[int]] = field(default_factory=dict)
    breaks: int = 0

    def take(self, job: dict[str, Any]) -> None:
        """One state of a job."""
        if job["job_id"] in self.versions or job["job_id"] in self.waiting:
            self.versions.setdefault(job["job_id"], []).append(job["version"])
            if job["status"] in ENDED:
                self.waiting.discard(job["job_id"])

    @property
    def in_order(self) -> bool:
        """Whether no job ever went back."""
        return all(seen == sorted(seen) for seen in self.versions.values())

    async def by_events(self, api: str) -> None:
        """Of each job, as server-sent events, going on where it broke."""
        await asyncio.gather(*(self._events_of(api, job_id) for job_id in list(self.waiting)))

    async def _events_of(self, api: str, job_id: str) -> None:
        last = ""
        async with httpx.AsyncClient(base_url=api, timeout=SILENT_SECONDS) as http:
            while job_id in self.waiting:
                try:
                    headers = {**HEADERS, "Last-Event-ID": last}
                    path = f"/jobs/{job_id}/events"
                    async with http.stream("GET", path, headers=headers) as stream:
                        async for line in stream.aiter_lines():
                            name, _, value = line.partition(": ")
                            if name == "data":
                                self.take(json.loads(value))
                            elif name == "id":
                                last = value
                            if job_id not in self.waiting:
                                return
                except httpx.TransportError:
                    self.breaks += 1
                await asyncio.sleep(PAUSE_SECONDS)

    async def by_socket(self, api: str) -> None:
        """Of every job, over a socket that is opened again."""
        url = f"{api.replace('http', 'ws', 1)}/ws/jobs"
        while self.waiting:
            try:
                async with connect(
                    url, additional_headers=HEADERS, ping_timeout=SILENT_SECONDS, proxy=None
                ) as socket:
                    while self.waiting:
                        self.take(json.loads(await socket.recv()))
            except (OSError, WebSocketException):
                self.breaks += 1
                await asyncio.sleep(PAUSE_SECONDS)
