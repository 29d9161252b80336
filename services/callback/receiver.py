"""Each callback is kept first; then its job is signalled, its fate noted, and it is answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from weakref import WeakValueDictionary

import structlog
from temporalio.client import Client

from services.callback.books.book import Book
from services.callback.books.committer import Committer
from services.callback.books.entries import Clock, Decision, Entries, utc_now
from services.callback.books.shared_books import SharedBooks
from services.callback.errors import NotKept
from services.callback.metrics import FATES, QUARANTINED, WAITING
from services.callback.models import Callback, Entry, Event, Fate
from services.callback.settings import CallbackSettings
from services.callback.signals import JobSignals
from shared.errors import GenvideoError, TemporalUnavailable
from shared.jobs.ids import parse_external_id
from shared.jobs.states import Step
from shared.jobs.tokens import token_fits
from shared.store.chosen import chosen_store
from shared.telemetry import tracing

log = structlog.get_logger(__name__)

# How often Temporal is tried while it is away, and for how many jobs at once when it is back.
RETRY_SECONDS = 0.5
JOBS_AT_ONCE = 16
# How often those in quarantine are looked at.
REVIEW_SECONDS = 5.0
# How often what other receivers have kept is looked for, and after how long one of them is taken to
# have died over a callback; twice signalled is no harm.
REFRESH_SECONDS = 5.0
ABANDONED_SECONDS = 5.0
# How often old receipts are looked for, and among how many at a time.
FORGET_SECONDS = 60.0
FORGET_AMONG = 500


class ReceiptNotFound(GenvideoError, code="receipt_not_found", status=404, title="No such receipt"):
    """No callback was noted under this number."""


class ReceiptNotReplayable(
    GenvideoError, code="receipt_not_replayable", status=409, title="The receipt can't be replayed"
):
    """Nothing of its body was kept."""


class Receiver:
    """Decides the fate of callbacks; what Temporal must hear waits in the book until it has."""

    def __init__(self, settings: CallbackSettings, client: Client, *, now: Clock = utc_now) -> None:
        self._shared = settings.elsewhere
        self.committer: Committer | SharedBooks = (
            SharedBooks(chosen_store(settings))
            if self._shared
            else Committer(Book(settings.data_dir))
        )
        self._entries = Entries(settings, now)
        self._secret = settings.callback_secret
        self._retention = settings.retention_days
        # The last entry that was looked at for removal.
        self._looked_at = 0
        self._signals = JobSignals(client)
        # One a job: its callbacks are signalled in the order of arrival, whoever does it.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # Jobs with a callback that Temporal did not take, oldest first.
        self._pending: dict[str, None] = {}
        self._pending_added = asyncio.Event()
        self._temporal_away = False

    def authentic(self, external_id: str, token: str) -> bool:
        """Whether the token is that of this video task of ours; a forged one is noted."""
        generation = parse_external_id(external_id)
        if generation is not None and generation.step is Step.VIDEO:
            if token_fits(self._secret.get_secret_value(), external_id, token):
                return True
            self._note_forged(external_id)
        FATES.labels(Fate.REJECTED).inc()
        return False

    def forged(self, external_id: str) -> None:
        """Note one whose token is that of the task, and whose signature is nobody's we know."""
        log.warning("a callback's signature does not fit", external_id=external_id)
        self._note_forged(external_id)
        FATES.labels(Fate.REJECTED).inc()

    def _note_forged(self, external_id: str) -> None:
        forged = Event(self._entries.now(), external_id, None, None)
        add = partial(self._entries.add_forged, forged=forged)
        self.committer.run_soon(add, forged.job_id)

    async def receive(self, external_id: str, callback: Callback) -> Entry:
        """What became of an authentic callback; TemporalUnavailable when it was only kept."""
        event = callback.event(external_id, received_at=self._entries.now())
        noted = {"external_id": external_id, "vendor_task_id": event.task_id or ""}
        with tracing.of_job(event.job_id, "callback", **noted):
            entry = await self._process(event)
            tracing.note(fate=entry.fate or "")
            return entry

    async def replay(self, receipt_id: int) -> Entry:
        """Process a noted callback once more, at its old position but by the job as it is now."""
        original = await self.committer.run(lambda book: book.entry(receipt_id))
        if original is None:
            raise ReceiptNotFound(f"There is no receipt {receipt_id}.")
        if original.event.task_id is None:
            raise ReceiptNotReplayable("Its token didn't fit, so nothing of it was kept.")
        again = original.event._replace(received_at=self._entries.now())
        return await self._process(again, original=original)

    async def _process(self, event: Event, *, original: Entry | None = None) -> Entry:
        entry, decision = await self.committer.run(
            lambda book: self._entries.add(book, event, original=original), event.job_id
        )
        # From here on it is on the disk: killed at any line below, it is signalled after the start.
        if entry.fate is not None:
            _count(entry)
            return entry
        async with self._lock(event.job_id):
            if self._temporal_away:
                self._signal_later(event.job_id)
                raise TemporalUnavailable("Temporal does not answer; the callback is kept.")
            if decision is not None:
                return await self._signal_and_settle(entry, decision)
            # Others wait before it; whoever signalled those meanwhile has settled this one, too.
            await self._signal_waiting(event.job_id)
            receipt_id = entry.receipt_id
            look = self.committer.run(lambda book: book.entry(receipt_id), event.job_id)
            return await look or entry

    def _lock(self, job_id: str) -> asyncio.Lock:
        return self._locks.setdefault(job_id, asyncio.Lock())

    def _signal_later(self, job_id: str) -> None:
        self._pending[job_id] = None
        self._pending_added.set()

    async def _signal_waiting(self, job_id: str) -> None:
        """Signal all that waits of a job, in the order of arrival; its lock is held."""
        next_waiting = partial(self._entries.next_waiting, job_id=job_id)
        while found := await self.committer.run(next_waiting, job_id):
            await self._signal_and_settle(*found)
        self._pending.pop(job_id, None)

    async def _signal_and_settle(self, entry: Entry, decision: Decision) -> Entry:
        """Its fate by Temporal's word, noted; killed in between, it is signalled once more."""
        fate = decision.fate
        if decision.ask:
            try:
                fate = await self._signals.send(entry.event, fate, known=decision.known)
            except TemporalUnavailable:
                self._temporal_away = True
                self._signal_later(entry.event.job_id)
                raise
        settle = partial(self._entries.settle, entry=entry, fate=fate)
        entry = await self.committer.run(settle, entry.event.job_id)
        _count(entry)
        return entry

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Signals what waits as soon as Temporal listens, and reviews the quarantine."""
        await self.refresh()
        for job_id in await self.committer.run(lambda book: book.waiting_jobs()):
            self._signal_later(job_id)
        loops = [
            asyncio.create_task(self._refresh_again()),
            asyncio.create_task(self._signal_pending_again()),
            asyncio.create_task(self._review_again()),
            asyncio.create_task(self._forget_again()),
        ]
        try:
            yield
        finally:
            for each in loops:
                each.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await self.committer.close()

    async def _refresh_again(self) -> None:
        while self._shared:
            await asyncio.sleep(REFRESH_SECONDS)
            await self.refresh()

    async def refresh(self) -> None:
        """Learn what other receivers have kept, and signal for one that has died over it."""
        try:
            await self.committer.refresh()
        except NotKept as error:
            log.error("receipts can't be read", reason=error.message)
            return
        before = self._entries.now() - timedelta(seconds=ABANDONED_SECONDS)
        if self._shared:
            for job_id in await self.committer.run(lambda book: book.waiting_jobs(before)):
                self._signal_later(job_id)

    async def _signal_pending_again(self) -> None:
        while True:
            await self._pending_added.wait()
            # Cleared first: a job that becomes pending during the round asks for another round.
            self._pending_added.clear()
            try:
                await self.signal_pending()
            except GenvideoError as error:
                log.error("kept callbacks can't be looked at", reason=error.message)
            if self._pending:
                self._pending_added.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def signal_pending(self) -> None:
        """Signal what waits, oldest job first; stops where Temporal is still away."""
        jobs = list(self._pending)
        WAITING.set(await self.committer.run(lambda book: book.waiting()))
        # The first one finds out for all whether Temporal is back.
        shares = [
            jobs[:1],
            *(jobs[at : at + JOBS_AT_ONCE] for at in range(1, len(jobs), JOBS_AT_ONCE)),
        ]
        for share in shares:
            if not all(await asyncio.gather(*map(self._signal_job, share))):
                return
            self._temporal_away = False
        WAITING.set(await self.committer.run(lambda book: book.waiting()))

    async def _signal_job(self, job_id: str) -> bool:
        """Whether Temporal could be reached."""
        try:
            async with self._lock(job_id):
                with tracing.of_job(job_id, "callback, kept"):
                    await self._signal_waiting(job_id)
        except TemporalUnavailable:
            return False
        except Exception:
            log.exception("a kept callback can't be signalled", job_id=job_id)
        return True

    async def _review_again(self) -> None:
        while True:
            try:
                await self.review_quarantine()
            except GenvideoError as error:
                log.error("the quarantine can't be reviewed", reason=error.message)
            await asyncio.sleep(REVIEW_SECONDS)

    async def review_quarantine(self) -> None:
        """Let those out whose job is known by now, or whose time is over."""
        for entry in await self.committer.run(lambda book: book.in_quarantine()):
            # By the book as it is at its turn: the entry may have been settled since it was listed.
            review = partial(self._entries.review, entry=entry)
            became = await self.committer.run(review, entry.event.job_id)
            if became is None:
                continue
            log.info("a callback leaves quarantine", job_id=entry.event.job_id, fate=became.fate)
            if became.fate is None:
                self._signal_later(entry.event.job_id)
        QUARANTINED.set(await self.committer.run(lambda book: book.quarantined()))

    async def _forget_again(self) -> None:
        while self._retention is not None:
            try:
                await self.forget_old(timedelta(days=self._retention))
            except GenvideoError as error:
                log.error("old receipts can't be removed", reason=error.message)
            await asyncio.sleep(FORGET_SECONDS)

    async def forget_old(self, kept: timedelta) -> None:
        """Look at the next entries, from the oldest on, for those whose job has ended long ago."""
        before = self._entries.now() - kept
        jobs = await self.committer.run(
            lambda book: book.jobs_after(self._looked_at, limit=FORGET_AMONG, before=before)
        )
        for job_id in jobs:
            forget = partial(self._entries.forget, job_id=job_id, before=before)
            await self.committer.run(forget, job_id)
        # Where no more are old enough it begins anew: of some the job was open.
        self._looked_at = max(jobs.values(), default=0)


def _count(entry: Entry) -> None:
    FATES.labels(entry.fate).inc()
    event = entry.event
    log.info(
        "callback",
        job_id=event.job_id,
        task=event.external_id,
        status=event.task_status,
        fate=entry.fate,
    )
