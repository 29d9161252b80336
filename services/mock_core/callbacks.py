"""Sends callbacks in order per generation, on a schedule until a 2xx; each try is in the ledger."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from services.mock_core.clock import Clock
from services.mock_core.faults.kinds import Where
from services.mock_core.faults.plan import FaultPlan, Hit
from services.mock_core.generation import Delivery, Generation

# Real seconds: the receiver's own work does not get faster with the vendor's clock.
TIMEOUT_SECONDS = 10.0
_CONNECTIONS = 50

Counter = Callable[[str], None]


@dataclass(slots=True, eq=False)
class Parcel:
    """One callback on its way: what is sent, where, when, and what is to be noted about it."""

    generation: Generation
    url: str
    status: str
    body: bytes
    wait: float = 0.0
    note: str = ""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    delivery_id: str = field(default_factory=lambda: f"msg_{uuid.uuid4().hex}")
    tried: asyncio.Event = field(default_factory=asyncio.Event)


def encode(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


class CallbackSender:
    def __init__(
        self, plan: FaultPlan, clock: Clock, *, schedule: tuple[float, ...], count: Counter
    ) -> None:
        self.schedule = schedule
        self._plan = plan
        self._clock = clock
        self._count = count
        self._client: httpx.AsyncClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: dict[Generation, Parcel] = {}

    async def open(self) -> None:
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(TIMEOUT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=10),
            trust_env=False,
        )

    async def close(self) -> None:
        await self.forget_all()
        if self._client is not None:
            await self._client.aclose()

    async def forget_all(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._last.clear()

    @property
    def pending(self) -> int:
        return len(self._tasks)

    def announce(self, generation: Generation, status: str, body: Mapping[str, Any]) -> None:
        """Send this change of state, as the fault plan lets it."""
        if generation.callback_url is None:
            return
        hits = self._plan.hits(Where.CALLBACK, generation, status=status)
        parcel = Parcel(generation, generation.callback_url, status, encode(body))
        for each in self._planned(parcel, hits):
            self.send(each)

    def _planned(self, parcel: Parcel, hits: tuple[Hit, ...]) -> list[Parcel]:
        parcels = [parcel]
        for hit in hits:
            match hit.do:
                case "lose":
                    self._count("lost")
                    parcel.generation.deliveries.append(
                        Delivery(parcel.delivery_id, parcel.status, note=f"lost by {hit.rule}")
                    )
                    return []
                case "repeat":
                    gap = hit.params.gap.at(hit.chance)
                    parcels += [self._again(parcel, gap * n) for n in range(1, hit.params.times)]
                case "delay":
                    for each in parcels:
                        each.wait += hit.params.seconds.at(hit.chance)
                        each.note = each.note or "delayed"
        return parcels

    def _again(self, parcel: Parcel, wait: float) -> Parcel:
        return Parcel(
            parcel.generation,
            parcel.url,
            parcel.status,
            parcel.body,
            wait=wait,
            note="repeated",
            headers=parcel.headers,
            delivery_id=parcel.delivery_id,
        )

    def send(self, parcel: Parcel) -> None:
        """In order behind the generation's previous one, unless it waits for a time of its own."""
        before = None
        if not parcel.wait:
            before = self._last.get(parcel.generation)
            self._last[parcel.generation] = parcel
        task = asyncio.get_running_loop().create_task(self._deliver(parcel, before))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, parcel: Parcel, before: Parcel | None) -> None:
        try:
            if before is not None:
                await before.tried.wait()
            await self._clock.sleep(parcel.wait)
            await self._follow_schedule(parcel)
        finally:
            parcel.tried.set()
            if self._last.get(parcel.generation) is parcel:
                del self._last[parcel.generation]

    async def _follow_schedule(self, parcel: Parcel) -> None:
        for pause in self.schedule:
            if pause:
                await self._clock.sleep(pause)
            delivery = await self._try(parcel)
            parcel.tried.set()
            if delivery.reply is not None and 200 <= delivery.reply < 300:
                self._count("answered")
                return
        self._count("unanswered")

    async def _try(self, parcel: Parcel) -> Delivery:
        delivery = Delivery(parcel.delivery_id, parcel.status, parcel.note, sent_at=time.time())
        parcel.generation.deliveries.append(delivery)
        self._count("sent")
        if self._client is None:
            raise RuntimeError("the callback sender is not open")
        try:
            reply = await self._client.post(parcel.url, content=parcel.body, headers=parcel.headers)
            delivery.reply = reply.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            delivery.error = type(error).__name__
        return delivery
