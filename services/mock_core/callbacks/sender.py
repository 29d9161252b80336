"""Sends callbacks in order per generation, on a schedule; each try is in the ledger."""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable

import httpx

from services.mock_core.callbacks.delivery import (
    Describe,
    Other,
    Parcel,
    bend_content,
    bend_parcel,
    encode,
    envelope,
)
from services.mock_core.callbacks.policy import Manner
from services.mock_core.faults.kinds import Where
from services.mock_core.faults.plan import FaultPlan, Hit
from services.mock_core.ledger.generation import Delivery, Generation
from services.mock_core.lib.clock import Clock

# Real seconds: the receiver's own work does not get faster with the vendor's clock.
TIMEOUT_SECONDS = 10.0
_CONNECTIONS = 50
_KEPT = 2_000

Counter = Callable[[str], None]


class CallbackSender:
    """`describe` makes the body that tells of a generation; `manner` may change at any time."""

    def __init__(self, plan: FaultPlan, clock: Clock, *, other: Other, count: Counter) -> None:
        self.manner = Manner()
        self.describe: Describe = lambda _: {}
        # Told after every try, with its answer.
        self.tried: Callable[[Generation], None] = lambda _: None
        self._plan = plan
        self._clock = clock
        self._other = other
        self._count = count
        self._client: httpx.AsyncClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: dict[Generation, Parcel] = {}
        self._held: dict[Generation, Parcel] = {}
        self._kept: OrderedDict[str, Parcel] = OrderedDict()
        self._waiting: dict[tuple[Generation, str], asyncio.Event] = {}

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
        for table in (self._last, self._held, self._kept, self._waiting):
            table.clear()

    @property
    def pending(self) -> int:
        return len(self._tasks) + len(self._held)

    def announce(self, generation: Generation, status: str) -> None:
        """Send this change of state, as the fault plan lets it."""
        if generation.callback_url is None:
            return
        hits = self._plan.hits(Where.CALLBACK, generation, status=status)
        parcel = self._packed(generation, generation.callback_url, status, hits=hits)
        held = self._held.pop(generation, None)
        parcels = self._planned(parcel, hits)
        if held is not None:
            parcels.append(held)
        for each in parcels:
            self.send(each)

    def replay(self, delivery_id: str) -> bool:
        """Send a callback of the past once more, as it was; False when it is not kept."""
        parcel = self._kept.get(delivery_id)
        if parcel is None:
            return False
        again = parcel.again(-parcel.wait, "replayed")
        again.after_poll, again.schedule = None, (0.0,)
        self.send(again)
        return True

    def told_end(self, generation: Generation) -> None:
        """A status call has told the end: callbacks that wait for that may leave."""
        self._signal(generation, "told")

    async def sent(self, generation: Generation, status: str, *, within: float) -> None:
        """Wait until the callback of this status has been tried or lost, or time is up."""
        await self._wait_for(generation, status, within=within)

    def _packed(
        self, generation: Generation, url: str, status: str, *, hits: tuple[Hit, ...]
    ) -> Parcel:
        other = self._other(generation) if hits else None
        body = bend_content(self.describe(generation), hits, generation, other=other)
        # Last, whatever the order of the rules: the others change what is inside.
        if self.manner.form == "envelope" or any(hit.do == "envelope" for hit in hits):
            body = envelope(body)
        parcel = Parcel(generation, url, status, encode(body))
        bend_parcel(parcel, hits, other=other)
        return parcel

    def _planned(self, parcel: Parcel, hits: tuple[Hit, ...]) -> list[Parcel]:
        parcels = [parcel]
        generation = parcel.generation
        for hit in hits:
            match hit.do:
                case "lose":
                    self._note_lost(parcel, hit.rule)
                    return []
                case "repeat":
                    gap = hit.params.gap.at(hit.chance)
                    times = range(1, hit.params.times)
                    parcels += [parcel.again(gap * n, "repeated") for n in times]
        if any(hit.do == "hold" for hit in hits) and not generation.ended:
            parcel.mark("held back")
            self._held[generation] = parcel
            return parcels[1:]
        return parcels

    def _note_lost(self, parcel: Parcel, rule: str) -> None:
        self._count("lost")
        lost = Delivery(parcel.delivery_id, parcel.status, note=f"lost by {rule}")
        parcel.generation.deliveries.append(lost)
        self._signal(parcel.generation, parcel.status)

    def send(self, parcel: Parcel) -> None:
        """In order behind the generation's previous one, unless it waits for a time of its own."""
        self._keep(parcel)
        before = None
        if not parcel.wait and parcel.after_poll is None:
            before = self._last.get(parcel.generation)
            self._last[parcel.generation] = parcel
        task = asyncio.get_running_loop().create_task(self._deliver(parcel, before))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _keep(self, parcel: Parcel) -> None:
        self._kept[parcel.delivery_id] = parcel
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    async def _deliver(self, parcel: Parcel, before: Parcel | None) -> None:
        try:
            if before is not None:
                await before.tried.wait()
            if parcel.after_poll is not None:
                pause, within = parcel.after_poll
                await self._wait_for(parcel.generation, "told", within=within)
                await self._clock.sleep(pause)
            await self._clock.sleep(parcel.wait)
            await self._follow_schedule(parcel)
        finally:
            parcel.tried.set()
            self._signal(parcel.generation, parcel.status)
            if self._last.get(parcel.generation) is parcel:
                del self._last[parcel.generation]

    async def _follow_schedule(self, parcel: Parcel) -> None:
        schedule = parcel.schedule or self.manner.schedule
        heed = self.manner.heed if parcel.heed is None else parcel.heed
        answered = False
        for pause in schedule:
            if pause:
                await self._clock.sleep(pause)
            delivery = await self._try(parcel)
            parcel.tried.set()
            self._signal(parcel.generation, parcel.status)
            answered = answered or delivery.good
            if delivery.good and heed:
                break
        self._count("answered" if answered else "unanswered")

    async def _try(self, parcel: Parcel) -> Delivery:
        delivery = Delivery(
            parcel.delivery_id, parcel.status, parcel.note, bent=parcel.bent, sent_at=time.time()
        )
        parcel.generation.deliveries.append(delivery)
        self._count("sent")
        if self._client is None:
            raise RuntimeError("the callback sender is not open")
        signed = self.manner.sign(parcel.delivery_id, parcel.body)
        headers = {"Content-Type": parcel.content_type, **signed}
        content: bytes | AsyncIterator[bytes] = parcel.body
        if parcel.drip is not None:
            content = self._dripped(parcel.body, *parcel.drip)
            headers["Content-Length"] = str(len(parcel.body))
        try:
            async with asyncio.timeout(None if parcel.drip else TIMEOUT_SECONDS):
                reply = await self._client.post(parcel.url, content=content, headers=headers)
            delivery.reply = reply.status_code
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
            delivery.error = type(error).__name__
        self.tried(parcel.generation)
        return delivery

    async def _dripped(self, body: bytes, seconds: float, drops: int) -> AsyncIterator[bytes]:
        size = -(-len(body) // drops)
        for start in range(0, len(body), size):
            await self._clock.sleep(seconds / drops)
            yield body[start : start + size]

    async def _wait_for(self, generation: Generation, what: str, *, within: float) -> None:
        event = self._waiting.setdefault((generation, what), asyncio.Event())
        waiter = asyncio.ensure_future(event.wait())
        limit = asyncio.ensure_future(self._clock.sleep(within))
        try:
            await asyncio.wait({waiter, limit}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (waiter, limit):
                task.cancel()
            with contextlib.suppress(KeyError):
                del self._waiting[generation, what]

    def _signal(self, generation: Generation, what: str) -> None:
        event = self._waiting.get((generation, what))
        if event is not None:
            event.set()
