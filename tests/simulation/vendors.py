"""Both vendors in virtual time, behind what the activities take for an HTTP client."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import httpx
from pydantic_core import to_json

from shared.jobs.ids import parse_external_id
from tests.simulation.plan import Quirk
from tests.simulation.world import Process, World, settle

HTTP_SECONDS = 10.0
HOP = (0.001, 0.01)
TELLS_ID = ("client_id", "external_task_id")


@dataclass(slots=True, eq=False)
class Generation:
    """One that a vendor has accepted, and so is paid for."""

    external_id: str
    job_id: str
    step: str
    attempt: int
    vendor_id: str
    token: int
    accepted: float
    ends: float
    quirk: Quirk
    cancelled: float | None = None

    def state(self, now: float) -> str:
        """By the vendor's own book."""
        if self.cancelled is not None:
            return "failed"
        if now < self.ends:
            return "running"
        return "failed" if self.quirk.fails else "succeeded"

    def runs(self, now: float) -> bool:
        return self.state(now) == "running"

    def is_missing(self, now: float) -> bool:
        if self.quirk.missing is None:
            return False
        begin, span = self.quirk.missing
        return begin <= now - self.accepted < begin + span


class Vendor:
    """One of the two; `quirk_of` says how each generation is treated."""

    def __init__(self, world: World, step: str, quirk_of: Callable[[str], Quirk]) -> None:
        self.world = world
        self.step = step
        self.ledger: list[Generation] = []
        self.away_until = 0.0
        # It denies nothing that it has: after a restore a first look-up has no other word to go by.
        self.is_honest = False
        self.on_arrive: Callable[[str], None] = lambda external_id: None
        self.on_accept: Callable[[Generation], None] = lambda generation: None
        self.on_end: Callable[[Generation], None] = lambda generation: None
        self._quirk_of = quirk_of
        self._seen: set[str] = set()
        self._sent: set[str] = set()
        self._by_id: dict[str, Generation] = {}

    def running(self) -> list[Generation]:
        return [each for each in self.ledger if each.runs(self.world.now)]

    def at(self, process: Process) -> "Wire":
        return Wire(self, process)

    def hop(self) -> float:
        return self.world.chance.between(f"hop {self.step}", *HOP)

    def wire(self, path: str, body: Any) -> float:
        """How long a first submit is on its way."""
        if not path.endswith("/submit"):
            return 0.0
        external_id = next(body[name] for name in TELLS_ID if name in body)
        if external_id in self._sent:
            return 0.0
        self._sent.add(external_id)
        return self._quirk_of(external_id).wire

    def answer(self, method: str, path: str, body: Any, headers: Any, done: "Done") -> None:
        """A request has arrived; `done` is called with status and body, or an error."""
        if self.world.now < self.away_until:
            done(None, httpx.ConnectError("connection refused"))
        elif path.endswith("/submit"):
            self._submit(body, int(headers["X-Slot-Token"]), done)
        elif path.endswith("/cancel"):
            self._cancel(unquote(path.split("/")[-2]))
            done((200, {}), None)
        else:
            done(self._look(unquote(path.split("/")[-1]), result="/result/" in path), None)

    def _look(self, name: str, *, result: bool) -> tuple[int, dict[str, Any]]:
        generation, now = self._by_id.get(name), self.world.now
        if generation is None or (generation.is_missing(now) and not self.is_honest):
            return 404, {"detail": "no such task"}
        url = f"http://vendor/{generation.vendor_id}"
        if result:
            late = now < generation.ends + generation.quirk.unaddressed
            return (404, {"detail": "no result yet"}) if late else (200, {"asset_url": url})
        state = generation.state(now)
        if state == "succeeded" and self.step == "video":
            state = "succeed"
        span = generation.ends - generation.accepted
        percent = min(99, int(100 * (now - generation.accepted) / span)) if span else 99
        answer = {"job_id": generation.vendor_id, "status": state, "percent": percent}
        if state == "succeed" and now >= generation.ends + generation.quirk.unaddressed:
            answer["video_url"] = url
        return 200, answer

    def _submit(self, body: Any, token: int, done: "Done") -> None:
        external_id = next(body[name] for name in TELLS_ID if name in body)
        self.on_arrive(external_id)
        quirk = self._quirk_of(external_id)
        if external_id in self._seen:
            self._accept(external_id, token, quirk, done)
            return
        self._seen.add(external_id)
        if quirk.reply == "refused":
            done(None, httpx.ConnectError("connection refused"))
        elif quirk.reply == "busy":
            done((503, {"detail": "busy"}), None)
        elif quirk.reply == "never":
            done((400, {"code": 1301, "message": "the content is not allowed"}), None)
        else:
            self.world.after(quirk.thinks, self._first, external_id, token, quirk, done)

    def _first(self, external_id: str, token: int, quirk: Quirk, done: "Done") -> None:
        def tell(reply: Any, error: Exception | None) -> None:
            if quirk.reply == "lost":
                done(None, httpx.ReadError("connection lost"))
            elif quirk.reply == "late":
                self.world.after(HTTP_SECONDS, done, reply, error)
            else:
                done(reply, error)

        self._accept(external_id, token, quirk, tell)

    def _accept(self, external_id: str, token: int, quirk: Quirk, done: "Done") -> None:
        if self.step == "video" and external_id in self._by_id:
            done((400, {"code": 1201, "message": "external_task_id is already in use"}), None)
            return
        parts = parse_external_id(external_id)
        assert parts is not None
        now = self.world.now
        generation = Generation(
            external_id=external_id,
            job_id=parts.job_id,
            step=self.step,
            attempt=parts.attempt,
            vendor_id=f"{self.step}-{len(self.ledger) + 1}",
            token=token,
            accepted=now,
            ends=now + quirk.runs,
            quirk=quirk,
        )
        self.ledger.append(generation)
        self._by_id[external_id] = self._by_id[generation.vendor_id] = generation
        self.on_accept(generation)
        self.world.at(generation.ends, self._end, generation)
        done((200, {"job_id": generation.vendor_id}), None)

    def _end(self, generation: Generation) -> None:
        if generation.cancelled is None:
            self.on_end(generation)

    def _cancel(self, name: str) -> None:
        generation = self._by_id.get(name)
        if generation is not None and generation.runs(self.world.now):
            generation.cancelled = self.world.now
            self.on_end(generation)


Done = Callable[[tuple[int, dict[str, Any]] | None, Exception | None], None]


@dataclass
class Wire:
    """What a vendor's client takes for `httpx.AsyncClient`; what has left goes on by itself."""

    _vendor: Vendor
    _process: Process

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, json: Any = None, headers: Any = None
    ) -> AsyncIterator["Reply"]:
        vendor, world = self._vendor, self._vendor.world
        future: Any = self._process.create_future()

        def done(reply: tuple[int, dict[str, Any]] | None, error: Exception | None) -> None:
            world.after(vendor.hop(), settle, future, reply, error)

        world.after(HTTP_SECONDS, settle, future, None, httpx.ReadTimeout("timed out"))
        world.after(
            vendor.hop() + vendor.wire(path, json), vendor.answer, method, path, json, headers, done
        )
        status, body = await future
        yield Reply(status, body)


class Reply:
    """As much of an `httpx.Response` as the vendors' clients look at."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status_code = status
        self.is_success = status < 300
        self.headers = httpx.Headers()
        self._body = body

    async def aiter_raw(self) -> AsyncIterator[bytes]:
        yield to_json(self._body)
