"""Send callbacks in order per generation, changed by the fault plan; each is in the ledger."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx

from services.mock_core.clock import Clock
from services.mock_core.faults.kinds import Hit, Where
from services.mock_core.faults.plan import FaultPlan
from services.mock_core.ledger import DeliveryAttempt, Generation, Ledger, State
from shared.http.client import http_client

Body = dict[str, Any]
# Real seconds, because others do not get faster with the vendor's clock.
SECONDS = 10.0


@dataclass(frozen=True)
class Wording:
    """A vendor's form of a callback: its words for the states, the body for a generation, the same
    body for another task, and the body with the opposite end."""

    words: Mapping[State, str]
    describe: Callable[[Generation], Body]
    rename: Callable[[Body, str, str | None], Body]
    contradict: Callable[[Body], Body]


@dataclass(slots=True, eq=False)
class Delivery:
    """A callback to send: where, when, and its results. Lengths are nominal seconds."""

    generation: Generation
    url: str
    status: str
    body: bytes = b""
    wait: float = 0.0
    note: str = ""
    # Damaged on purpose: a refusal by the receiver counts as an answer, too.
    bent: bool = False
    content_type: str = "application/json"
    # (wait after the end was reported, longest wait for that)
    after_poll: tuple[float, float] | None = None
    delivery_id: str = field(default_factory=lambda: f"msg_{uuid.uuid4().hex}")
    tried: asyncio.Event = field(default_factory=asyncio.Event)

    def mark(self, note: str, *, bent: bool = False) -> None:
        self.note = f"{self.note}, {note}" if self.note else note
        self.bent = self.bent or bent


class CallbackSender:
    """Sends callbacks; `wording` makes a generation's body. The vendor documents no retries."""

    def __init__(
        self, plan: FaultPlan, clock: Clock, *, ledger: Ledger, count: Callable[[str], None]
    ) -> None:
        self.wording = Wording({}, lambda _: {}, lambda body, *_: body, lambda body: body)
        # Called after every attempt, with its answer.
        self.attempted: Callable[[Generation], None] = lambda _: None
        self._plan = plan
        self._clock = clock
        self._ledger = ledger
        self._count = count
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: dict[Generation, Delivery] = {}
        self._held: dict[Generation, Delivery] = {}
        self._waiting: dict[tuple[Generation, str], asyncio.Event] = {}

    async def open(self) -> None:
        self._client = http_client()

    async def close(self) -> None:
        await self.forget_all()
        await self._client.aclose()

    async def forget_all(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for table in (self._last, self._held, self._waiting):
            table.clear()

    @property
    def pending(self) -> int:
        return len(self._tasks) + len(self._held)

    def announce(self, generation: Generation) -> None:
        """Send the callback of this change of state, as the fault plan allows.

        Return at once, so that callbacks queue up in the order of the changes.
        """
        is_new = generation.state is State.QUEUED
        if generation.callback_url is None or generation.vanished or is_new:
            return
        status = self.wording.words[generation.state]
        hits = self._plan.hits(Where.CALLBACK, generation, status=status)
        delivery = Delivery(generation, generation.callback_url, status)
        self._write(delivery, hits)
        held = self._held.pop(generation, None)
        for each in [*self._repeated(delivery, hits), *([] if held is None else [held])]:
            self._send(each)

    def _write(self, delivery: Delivery, hits: tuple[Hit, ...]) -> None:
        """Write the body, and let faults change its content, bytes, address and speed."""
        body = self.wording.describe(delivery.generation)
        enveloped = False
        other = self._ledger.other(delivery.generation) if hits else None
        for hit in hits:
            match hit.name:
                case "callback.other-job" if other is not None:
                    body = self.wording.rename(body, other.id, other.external_id)
                    delivery.mark("other-job", bent=True)
                case "callback.unknown-job" | "callback.other-job":
                    number = int(hit.quantile * 10**17)
                    unknown = str(9 * 10**17 + number)
                    body = self.wording.rename(body, unknown, f"unknown-{number:x}")
                    delivery.mark(hit.fault.kind.do, bent=True)
                case "callback.contradict":
                    body = self.wording.contradict(body)
                    delivery.mark("contradict", bent=True)
                case "callback.oversize":
                    body = {**body, "padding": "x" * hit["bytes"]}
                    delivery.mark("oversize", bent=True)
                case "callback.envelope":
                    enveloped = True
                case "callback.token":
                    delivery.url = _with_token(delivery.url, hit["how"], other)
                    delivery.mark(f"{hit['how']} token", bent=True)
                case "callback.wrong-type":
                    delivery.content_type = hit["content_type"]
                    delivery.mark("wrong type", bent=True)
                case "callback.delay":
                    delivery.wait += hit["seconds"]
                    delivery.mark("delayed")
                case "callback.after-poll":
                    delivery.after_poll = (hit["seconds"], hit["within"])
                    delivery.mark("after the poll")
        # Whatever the order of the rules, because the others change what is inside.
        if enveloped:
            request_id = str(uuid.uuid4())
            body = {"code": 0, "message": "SUCCEED", "request_id": request_id, "data": body}
        delivery.body = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        for hit in hits:
            match hit.name:
                case "callback.truncate":
                    kept = delivery.body[: int(len(delivery.body) * hit["keep"])]
                    delivery.body = kept.decode("utf-8", "ignore").encode()
                    delivery.mark("truncated", bent=True)
                case "callback.garbage":
                    delivery.body = b"<html><body>gateway</body></html>"
                    delivery.mark("garbage", bent=True)

    def _repeated(self, delivery: Delivery, hits: tuple[Hit, ...]) -> list[Delivery]:
        """Return the callbacks to send now: none for a lost one, repeats later, and a held one with
        the next."""
        generation, deliveries = delivery.generation, [delivery]
        for hit in hits:
            if hit.name == "callback.lose":
                self._count("lost")
                note = f"lost by {hit.rule}"
                generation.delivery_attempts.append(
                    DeliveryAttempt(delivery.delivery_id, delivery.status, note)
                )
                self.signal(generation, delivery.status)
                return []
            if hit.name == "callback.repeat":
                for number in range(1, hit["times"]):
                    wait = delivery.wait + hit["gap"] * number
                    again = replace(delivery, wait=wait, note="repeated", tried=asyncio.Event())
                    deliveries.append(again)
        if any(hit.name == "callback.hold" for hit in hits) and not generation.ended:
            delivery.mark("held back")
            self._held[generation] = deliveries.pop(0)
        return deliveries

    def _send(self, delivery: Delivery) -> None:
        before = None
        if not delivery.wait and delivery.after_poll is None:
            before = self._last.get(delivery.generation)
            self._last[delivery.generation] = delivery
        task = asyncio.get_running_loop().create_task(self._deliver(delivery, before))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, delivery: Delivery, before: Delivery | None) -> None:
        try:
            if before is not None:
                await before.tried.wait()
            if delivery.after_poll is not None:
                pause, within = delivery.after_poll
                await self.wait_for(delivery.generation, "reported", within=within)
                await self._clock.sleep(pause)
            await self._clock.sleep(delivery.wait)
            attempt = await self._attempt(delivery)
            self._count("answered" if attempt.good else "unanswered")
        finally:
            # Also when cancelled or broken, because the next one waits for it.
            delivery.tried.set()
            self.signal(delivery.generation, delivery.status)
            if self._last.get(delivery.generation) is delivery:
                del self._last[delivery.generation]

    async def _attempt(self, delivery: Delivery) -> DeliveryAttempt:
        attempt = DeliveryAttempt(
            delivery.delivery_id,
            delivery.status,
            delivery.note,
            bent=delivery.bent,
            sent_at=time.time(),
        )
        delivery.generation.delivery_attempts.append(attempt)
        self._count("sent")
        headers = {"Content-Type": delivery.content_type}
        try:
            async with asyncio.timeout(SECONDS):
                reply = await self._client.post(
                    delivery.url, content=delivery.body, headers=headers
                )
            attempt.reply = reply.status_code
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
            attempt.error = type(error).__name__
        self.attempted(delivery.generation)
        return attempt

    async def wait_for(self, generation: Generation, what: str, *, within: float) -> None:
        """Wait until the callback of this status has been tried or lost, or time is up; earlier
        ones don't count."""
        event = self._waiting.setdefault((generation, what), asyncio.Event())
        waiter = asyncio.ensure_future(event.wait())
        limit = asyncio.ensure_future(self._clock.sleep(within))
        try:
            await asyncio.wait({waiter, limit}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (waiter, limit):
                task.cancel()
            # Another waiter for the same, or a reset, may have removed it.
            self._waiting.pop((generation, what), None)

    def signal(self, generation: Generation, what: str) -> None:
        """Release what waits for this: a status that was tried or lost, or `reported`, once a
        status call has reported the end."""
        if (event := self._waiting.get((generation, what))) is not None:
            event.set()


def _with_token(url: str, how: str, other: Generation | None) -> str:
    """Damage the token in an address: the member of that name, else the last one."""
    parts = urlsplit(url)
    members = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not members:
        return url
    name = "token" if "token" in members else [*members][-1]
    value = members.pop(name)
    if how == "stale" and other is not None and other.callback_url is not None:
        members[name] = dict(parse_qsl(urlsplit(other.callback_url).query)).get(name, value)
    if how != "missing" and members.get(name, value) == value:
        # As long as the right one, and different at each place.
        members[name] = "".join("0" if mark != "0" else "1" for mark in value)
    return urlunsplit(parts._replace(query=urlencode(members)))
