"""The API as a user sees it: its routes, and the stream of job changes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from loadtest.wire.http import Http, Unreachable, bearer, json_of, problem

_PAGE = "500"


@dataclass(frozen=True, slots=True)
class Submitted:
    """What came of one submission, however many requests it took."""

    job_id: str | None
    tries: int
    status: int | None
    problem: str | None


class Api(Http):
    """Submissions and readings of jobs."""

    async def submit(self, body: dict[str, Any], key: str, *, patience: float = 60.0) -> Submitted:
        """Submit until the API takes or refuses it; the key makes repeats harmless.

        A connection that fails and a 503 or 429 are tried again until `patience` seconds are over.
        """
        loop, tries = asyncio.get_running_loop(), 0
        until = loop.time() + patience
        while True:
            tries += 1
            status: int | None = None
            pause = 0.0
            try:
                headers = {"Idempotency-Key": key}
                answer = await self.post("/jobs", json=body, headers=headers)
                if answer.status_code not in (429, 503):
                    return _submitted(answer, tries)
                status, why = answer.status_code, problem(answer)
                with contextlib.suppress(ValueError):
                    pause = float(answer.headers.get("retry-after", ""))
            except Unreachable as error:
                why = str(error)
            pause = pause or min(0.1 * 2**tries, 3.0)
            if loop.time() + pause > until:
                return Submitted(None, tries, status, why)
            await asyncio.sleep(pause)

    async def jobs(self, tag: str, status: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Return every job with this tag, newest first, page by page."""
        cursor: str | None = None
        while True:
            params = {"tag": tag, "limit": _PAGE}
            if cursor:
                params["cursor"] = cursor
            if status:
                params["status"] = status
            body = await self.read("/jobs", params)
            for job in body.get("jobs") or []:
                yield job
            cursor = body.get("next_cursor")
            if not cursor:
                return

    async def places(self, tag: str) -> dict[str, int | None]:
        """Return the places in the queue of the newest jobs with this tag that wait."""
        body = await self.read("/jobs", {"tag": tag, "status": "queued", "limit": "20"})
        return {job["job_id"]: job.get("queue_position") for job in body.get("jobs") or []}

    async def file(self, job_id: str, kind: str) -> tuple[bytes | None, str]:
        """Return a stored file of a job (`image` or `video`), or None, and its media type.

        A store elsewhere may serve it; it does not get our token.
        """
        answer = await self.get(f"/jobs/{job_id}/{kind}", follow_redirects=True)
        data = answer.content if answer.is_success else None
        return data, answer.headers.get("Content-Type", "")


def _submitted(answer: httpx.Response, tries: int) -> Submitted:
    body = json_of(answer) if answer.is_success else None
    if isinstance(body, dict) and body.get("job_id"):
        return Submitted(str(body["job_id"]), tries, answer.status_code, None)
    why = "the answer has no job_id" if answer.is_success else problem(answer)
    return Submitted(None, tries, answer.status_code, why)


@dataclass
class Feed:
    """Hands every frame to a callback until the task that runs it is cancelled."""

    api_url: str
    token: SecretStr | None
    on_job: Callable[[dict[str, Any]], None]
    connected: bool = False
    connections: int = 1

    async def run(self) -> None:
        """Listen; after a break wait a little, then connect again."""
        while True:
            try:
                await self._listen()
            except (OSError, WebSocketException, TimeoutError):
                pass
            finally:
                self.connected = False
            # A cut counts at once: what is shown before the next connection is missed.
            self.connections += 1
            await asyncio.sleep(0.5)

    async def _listen(self) -> None:
        async with connect(
            "ws" + self.api_url.removeprefix("http") + "/ws/jobs",
            additional_headers=bearer(self.token),
            proxy=None,
            max_size=2**24,
            open_timeout=5,
        ) as socket:
            self.connected = True
            async for frame in socket:
                try:
                    job = json.loads(frame)
                except ValueError:
                    continue
                if isinstance(job, dict) and isinstance(job.get("job_id"), str):
                    self.on_job(job)
