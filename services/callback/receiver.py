"""One callback at a time per job: judged, told to the workflow, noted for good, then answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from weakref import WeakValueDictionary

import structlog
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from services.callback.inbox import Inbox
from services.callback.judge import judge
from services.callback.metrics import FATES
from services.callback.models import Callback, Fate, Kept, Receipt
from services.callback.receipts import Receipts
from services.callback.settings import CallbackSettings
from shared.errors import TemporalUnavailable
from shared.ids import Generation, parse_external_id
from shared.messages import Record
from shared.records import RecordStore
from shared.states import Step
from shared.temporal import KLING_DONE_SIGNAL, answer
from shared.tokens import token_fits

log = structlog.get_logger(__name__)

# The vendor hears from us within about a second, whatever Temporal does.
TELL_SECONDS = 1.0
RPC_TIMEOUT = timedelta(seconds=TELL_SECONDS)
# How often the inbox is tried while Temporal is away.
DRAIN_SECONDS = 0.5


class Receiver:
    """Decides the fate of callbacks; with Temporal away it keeps them, in their order."""

    def __init__(self, settings: CallbackSettings, client: Client) -> None:
        self.receipts = Receipts(settings.data_dir)
        self.inbox = Inbox(settings.data_dir)
        self._secret = settings.callback_secret
        self._records = RecordStore(settings.data_dir)
        self._client = client
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._kept = asyncio.Event()

    async def authentic(self, external_id: str, token: str) -> bool:
        """Whether the token is that of this video task of ours; a forged one is noted."""
        generation = parse_external_id(external_id)
        if generation is None or generation.step is not Step.VIDEO:
            FATES.labels(Fate.REJECTED).inc()
            return False
        if token_fits(self._secret.get_secret_value(), external_id, token):
            return True
        await self._reject(_forged(generation, external_id))
        return False

    async def receive(self, external_id: str, callback: Callback) -> Fate:
        """The fate of an authentic callback; TemporalUnavailable when it was only kept."""
        kept = Kept(received_at=datetime.now(UTC), external_id=external_id, callback=callback)
        async with self._lock(kept.job_id):
            try:
                if self.inbox.waits_for(kept.job_id):
                    raise TemporalUnavailable("Earlier callbacks of this job still wait.")
                return await self._settle(kept)
            except TemporalUnavailable:
                await self.inbox.put(kept)
                self._kept.set()
                raise

    def _lock(self, job_id: str) -> asyncio.Lock:
        return self._locks.setdefault(job_id, asyncio.Lock())

    async def _settle(self, kept: Kept) -> Fate:
        fate = await self._fate(kept)
        if fate is Fate.REJECTED:
            await self._reject(kept.receipt(fate))
            return fate
        await asyncio.to_thread(self.receipts.add, kept.receipt(fate))
        _count(kept.receipt(fate))
        return fate

    async def _fate(self, kept: Kept) -> Fate:
        named = kept.callback.named
        if named is not None and named != kept.external_id:
            known = await asyncio.to_thread(self._is_of_a_known_job, named)
            return Fate.REJECTED if known else Fate.UNKNOWN
        record, receipts = await asyncio.to_thread(self._look, kept.job_id)
        generation = parse_external_id(kept.external_id)
        if generation is None:
            return Fate.UNKNOWN
        fate = judge(
            kept.callback,
            generation,
            external_id=kept.external_id,
            record=record,
            receipts=receipts,
        )
        if fate not in (Fate.APPLIED, Fate.EARLY):
            return fate
        return await self._tell(kept, fate, record=record)

    def _look(self, job_id: str) -> tuple[Record | None, list[Receipt]]:
        return self._records.read(job_id), self.receipts.of(job_id)

    def _is_of_a_known_job(self, external_id: str) -> bool:
        generation = parse_external_id(external_id)
        return generation is not None and self._records.path(generation.job_id).is_file()

    async def _tell(self, kept: Kept, fate: Fate, *, record: Record | None) -> Fate:
        """Signal an end; the fate, corrected by what Temporal knows of the workflow."""
        if not kept.callback.task_status.ended:
            return fate if record is not None else await self._by_workflow(kept.job_id, fate)
        done = kept.callback.done(kept.external_id)
        signal = self._client.get_workflow_handle(kept.job_id).signal(
            KLING_DONE_SIGNAL, done, rpc_timeout=RPC_TIMEOUT
        )
        try:
            await answer(signal, seconds=TELL_SECONDS)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return Fate.LATE if record else await self._by_workflow(kept.job_id, Fate.LATE)
        return fate

    async def _by_workflow(self, job_id: str, fate: Fate) -> Fate:
        """`fate` where the job runs, `late` where it ended, `unknown` where it never was."""
        handle = self._client.get_workflow_handle(job_id)
        try:
            found = await answer(handle.describe(rpc_timeout=RPC_TIMEOUT), seconds=TELL_SECONDS)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return Fate.UNKNOWN
            raise
        return fate if found.status is WorkflowExecutionStatus.RUNNING else Fate.LATE

    async def _reject(self, receipt: Receipt) -> None:
        """Count it; note it where it concerns a job that there is."""
        _count(receipt)
        if await asyncio.to_thread(self._records.path(receipt.job_id).is_file):
            await asyncio.to_thread(self.receipts.add_rejected, receipt)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tells what is kept, as soon as Temporal listens, until the end."""
        await self.inbox.load()
        if len(self.inbox):
            self._kept.set()
        draining = asyncio.create_task(self._drain_again())
        try:
            yield
        finally:
            draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)

    async def _drain_again(self) -> None:
        while True:
            await self._kept.wait()
            self._kept.clear()
            await self.drain()
            if len(self.inbox):
                self._kept.set()
                await asyncio.sleep(DRAIN_SECONDS)

    async def drain(self) -> None:
        """Settle what is kept, oldest first; stops where Temporal is still away."""
        for name, kept in self.inbox.items():
            async with self._lock(kept.job_id):
                try:
                    await self._settle_once(kept)
                except TemporalUnavailable:
                    return
                except Exception:
                    log.exception("a kept callback can't be told", task=kept.external_id)
                    continue
                await self.inbox.drop(name)

    async def _settle_once(self, kept: Kept) -> None:
        """A crash may have come between the receipt and the end of its keeping."""
        receipts = await asyncio.to_thread(self.receipts.of, kept.job_id)
        noted = {(each.external_id, each.received_at) for each in receipts}
        if (kept.external_id, kept.received_at) not in noted:
            await self._settle(kept)


def _forged(generation: Generation, external_id: str) -> Receipt:
    return Receipt(
        received_at=datetime.now(UTC),
        job_id=generation.job_id,
        task_id=None,
        task_status=None,
        fate=Fate.REJECTED,
        external_id=external_id,
    )


def _count(receipt: Receipt) -> None:
    FATES.labels(receipt.fate).inc()
    log.info(
        "callback",
        job_id=receipt.job_id,
        task=receipt.external_id,
        status=receipt.task_status,
        fate=receipt.fate,
    )
