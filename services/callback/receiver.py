"""Each callback is kept before anything else; then its job is told, its fate noted, it answered."""

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from weakref import WeakValueDictionary

import structlog
from temporalio.client import Client

from services.callback.book import Book
from services.callback.committer import Committer
from services.callback.desk import Clock, Desk, Entry, Verdict, utc_now
from services.callback.messenger import Messenger
from services.callback.metrics import FATES, HELD, WAITING
from services.callback.models import Callback, Event, Fate, Row
from services.callback.settings import CallbackSettings
from shared.errors import GenvideoError, TemporalUnavailable
from shared.ids import parse_external_id
from shared.states import Step
from shared.tokens import token_fits

log = structlog.get_logger(__name__)

# How often Temporal is tried while it is away, and for how many jobs at once when it is back.
DRAIN_SECONDS = 0.5
DRAIN_WIDTH = 16
# How often those in quarantine are looked at.
LOOK_SECONDS = 5.0


class ReceiptNotFound(GenvideoError, code="receipt_not_found", status=404, title="No such receipt"):
    """No callback was noted under this number."""


class ReceiptNotReplayable(
    GenvideoError, code="receipt_not_replayable", status=409, title="The receipt can't be replayed"
):
    """Nothing of its body was kept."""


class Receiver:
    """Decides the fate of callbacks; what Temporal must hear waits in the book until it has."""

    def __init__(self, settings: CallbackSettings, client: Client, *, now: Clock = utc_now) -> None:
        self.committer = Committer(Book(settings.data_dir))
        self._desk = Desk(settings, now)
        self._secret = settings.callback_secret
        self._messenger = Messenger(client)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # Jobs of which something waits that Temporal did not take, oldest first.
        self._left: dict[str, None] = {}
        self._stirred = asyncio.Event()
        self._away = False

    def authentic(self, external_id: str, token: str) -> bool:
        """Whether the token is that of this video task of ours; a forged one is noted."""
        generation = parse_external_id(external_id)
        if generation is not None and generation.step is Step.VIDEO:
            if token_fits(self._secret.get_secret_value(), external_id, token):
                return True
            forged = Event(self._desk.now(), external_id, None, None)
            self.committer.run_soon(lambda book: self._desk.note_forged(book, forged))
        FATES.labels(Fate.REJECTED).inc()
        return False

    def is_operator(self, authorization: str) -> bool:
        """Whether a request's Authorization carries the callback secret."""
        expected = f"Bearer {self._secret.get_secret_value()}"
        return hmac.compare_digest(expected.encode(), authorization.encode("utf-8", "replace"))

    async def receive(self, external_id: str, callback: Callback) -> Row:
        """What became of an authentic callback; TemporalUnavailable when it was only kept."""
        return await self._take(callback.event(external_id, received_at=self._desk.now()))

    async def replay(self, receipt_id: int) -> Row:
        """Judge a noted callback once more, in its old place but by the job as it is now."""
        model = await self.committer.run(lambda book: book.row(receipt_id))
        if model is None:
            raise ReceiptNotFound(f"There is no receipt {receipt_id}.")
        if model.event.task_id is None:
            raise ReceiptNotReplayable("Its token didn't fit, so nothing of it was kept.")
        return await self._take(model.event._replace(received_at=self._desk.now()), model=model)

    async def _take(self, event: Event, *, model: Row | None = None) -> Row:
        entry = await self.committer.run(lambda book: self._desk.enter(book, event, model=model))
        if entry.row.fate is not None:
            _count(entry.row)
            return entry.row
        async with self._lock(event.job_id):
            if self._away:
                self._leave(event.job_id)
                raise TemporalUnavailable("Temporal does not answer; the callback is kept.")
            return await self._told(entry)

    def _lock(self, job_id: str) -> asyncio.Lock:
        return self._locks.setdefault(job_id, asyncio.Lock())

    def _leave(self, job_id: str) -> None:
        self._left[job_id] = None
        self._stirred.set()

    async def _told(self, entry: Entry) -> Row:
        if entry.verdict is not None:
            return await self._tell(entry.row, entry.verdict)
        await self._catch_up(entry.row.event.job_id)
        receipt_id = entry.row.receipt_id
        return await self.committer.run(lambda book: book.row(receipt_id)) or entry.row

    async def _catch_up(self, job_id: str) -> None:
        """Tell a job all that waits, in the order of arrival; its lock is held."""
        while found := await self.committer.run(lambda book: self._desk.next_waiting(book, job_id)):
            await self._tell(*found)
        self._left.pop(job_id, None)

    async def _tell(self, row: Row, verdict: Verdict) -> Row:
        fate = verdict.fate
        if verdict.open:
            try:
                fate = await self._messenger.tell(row.event, fate, known=verdict.known)
            except TemporalUnavailable:
                self._away = True
                self._leave(row.event.job_id)
                raise
        row = await self.committer.run(lambda book: self._desk.settle(book, row, fate))
        _count(row)
        return row

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tells what waits as soon as Temporal listens, and minds the quarantine, until the end."""
        for job_id in await self.committer.run(lambda book: book.waiting_jobs()):
            self._leave(job_id)
        rounds = [asyncio.create_task(self._drain_again()), asyncio.create_task(self._look_again())]
        try:
            yield
        finally:
            for each in rounds:
                each.cancel()
            await asyncio.gather(*rounds, return_exceptions=True)
            await self.committer.close()

    async def _drain_again(self) -> None:
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            await self.drain()
            if self._left:
                self._stirred.set()
                await asyncio.sleep(DRAIN_SECONDS)

    async def drain(self) -> None:
        """Tell what waits, oldest job first; stops where Temporal is still away."""
        left = list(self._left)
        WAITING.set(await self.committer.run(lambda book: book.waiting()))
        # The first one finds out for all whether Temporal is back.
        shares = [
            left[:1],
            *(left[at : at + DRAIN_WIDTH] for at in range(1, len(left), DRAIN_WIDTH)),
        ]
        for share in shares:
            outcomes = await asyncio.gather(*map(self._drained, share))
            if not all(outcomes):
                return
            self._away = False
        WAITING.set(await self.committer.run(lambda book: book.waiting()))

    async def _drained(self, job_id: str) -> bool:
        """Whether Temporal could be reached."""
        try:
            async with self._lock(job_id):
                await self._catch_up(job_id)
        except TemporalUnavailable:
            return False
        except Exception:
            log.exception("a kept callback can't be told", job_id=job_id)
        return True

    async def _look_again(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Let those out of the quarantine whose job is known by now, or whose time is over."""
        held = await self.committer.run(lambda book: book.held())
        for row in held:
            became = await self.committer.run(partial(self._desk.review, row=row))
            if became is None:
                continue
            log.info("a callback leaves quarantine", job_id=row.event.job_id, fate=became.fate)
            if became.fate is None:
                self._leave(row.event.job_id)
        HELD.set(await self.committer.run(lambda book: book.held_count()))


def _count(row: Row) -> None:
    FATES.labels(row.fate).inc()
    event = row.event
    log.info(
        "callback",
        job_id=event.job_id,
        task=event.external_id,
        status=event.task_status,
        fate=row.fate,
    )
