"""Receive a callback: store its receipt, decide its fate, signal its job, write the fate."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from prometheus_client import Counter
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from services.callback.models import SIGNALLED, Fate, Receipt, decide
from services.callback.receipts import Receipts
from shared.errors import TemporalRefuses, TemporalUnavailable
from shared.jobs.genvideo import GENVIDEO
from shared.jobs.ids import parse_external_id
from shared.jobs.messages import Record, StageDone
from shared.jobs.tokens import token_fits
from shared.pipeline.callbacks import Reported
from shared.pipeline.definition import Definition
from shared.redact import redacted
from shared.semaphore.server import is_gone
from shared.store.protocol import Store
from shared.temporal.client import answer

log = structlog.get_logger(__name__)

FATES = Counter("genvideo_callbacks", "Callbacks by their fate", ["fate"])
# The vendor gets an answer within about a second, whatever Temporal does.
SIGNAL_SECONDS = 1.0
# Callbacks that are processed at once; others wait, their bodies unread. Forged ones get half.
AT_ONCE = 64


class Receiver:
    """Decides the fate of each callback; any number of receivers share one store."""

    def __init__(
        self,
        store: Store,
        client: Client,
        secret: str,
        pipelines: Iterable[Definition] = (GENVIDEO,),
    ) -> None:
        self.receipts = Receipts(store)
        self.room = asyncio.Semaphore(AT_ONCE)
        self._forged = 0
        self._client = client
        self._secret = secret
        # By the form of its callbacks, each stage with the signals of its pipelines.
        self._signals = defaultdict[tuple[str, str], dict[str, str]](dict)
        for each in pipelines:
            for stage in each.stages:
                if stage.called_back:
                    self._signals[stage.callback, stage.name][each.name] = each.done

    async def authentic(self, external_id: str, token: str, *, form: str = "kling") -> bool:
        """True if the token belongs to this task and the task has such callbacks; note forged ones,
        unless there are many."""
        generation = parse_external_id(external_id)
        is_ours = generation is not None and (form, generation.step) in self._signals
        if is_ours and token_fits(self._secret, external_id, token):
            return True
        FATES.labels(Fate.REJECTED).inc()
        if is_ours and self._forged < AT_ONCE // 2:
            self._forged += 1
            try:
                receipt = self._receipt(external_id, fate=Fate.REJECTED, decided=True)
                await asyncio.to_thread(self.receipts.add_forged, receipt)
            finally:
                self._forged -= 1
        return False

    async def refused(self, external_id: str) -> None:
        """Note an authentic callback that can't be read; raise NotKept."""
        receipt = self._receipt(external_id)
        key, _ = await asyncio.to_thread(self.receipts.add, receipt)
        await self._settle(key, receipt, Fate.REJECTED)

    async def receive(self, external_id: str, callback: Reported, *, form: str = "kling") -> Fate:
        """Return the fate of an authentic callback; raise NotKept or TemporalUnavailable if the
        vendor must send it again."""
        receipt = self._receipt(
            external_id,
            task_id=callback.task_id,
            task_status=callback.task_status,
            updated_at=callback.updated_at,
        )
        # From here on it is in the store: a receiver that is killed leaves it undecided.
        key, past, job = await asyncio.to_thread(self._added, receipt)
        fate, asks = decide(callback, external_id, job=job, past=past)
        if asks:
            try:
                signals = self._signals[form, external_id.split(".")[1]]
                # A job of several possible pipelines that has no record may be left to its poll.
                first = next(iter(signals.values()))
                signal = signals.get(job.pipeline, first) if job else first
                fate = await self._by_temporal(
                    fate, callback, receipt, signal=signal, known=job is not None
                )
            except TemporalUnavailable:
                await self._settle(key, receipt, Fate.UNKNOWN)
                raise
        await self._settle(key, receipt, fate)
        return fate

    def _added(self, receipt: Receipt) -> tuple[str, list[Receipt], Record | None]:
        return *self.receipts.add(receipt), self.receipts.job(receipt.job_id)

    def _receipt(self, external_id: str, **fields: object) -> Receipt:
        return Receipt.model_validate(
            {
                "received_at": datetime.now(UTC),
                "job_id": external_id.partition(".")[0],
                "external_id": external_id,
                **fields,
            }
        )

    async def _settle(self, key: str, receipt: Receipt, fate: Fate) -> None:
        await asyncio.to_thread(self.receipts.decide, key, receipt, fate)
        FATES.labels(fate).inc()
        log.info(
            "callback",
            job_id=receipt.job_id,
            task=receipt.external_id,
            status=receipt.task_status,
            fate=fate,
        )

    async def _by_temporal(
        self, fate: Fate, callback: Reported, receipt: Receipt, *, signal: str, known: bool
    ) -> Fate:
        handle = self._client.get_workflow_handle(receipt.job_id)
        limit = timedelta(seconds=SIGNAL_SECONDS)
        try:
            if callback.task_status.ended:
                done = StageDone(
                    external_id=receipt.external_id,
                    task_id=callback.task_id,
                    task_status=callback.task_status,
                    updated_at=callback.updated_at or 0,
                    message=redacted(callback.message),
                )
                signalled = await _found(handle.signal(signal, done, rpc_timeout=limit))
                if signalled or fate not in SIGNALLED:
                    return fate
                fate = Fate.LATE
            if known:
                return fate
            # Without a record only Temporal knows whether there is such a job.
            found = await _found(handle.describe(rpc_timeout=limit))
            if found is None:
                return Fate.UNKNOWN
            return fate if found.status is WorkflowExecutionStatus.RUNNING else Fate.LATE
        except (RPCError, TemporalRefuses) as error:
            # A missing right or namespace, which an operator has to fix.
            log.error("Temporal refuses", reason=error.message)
            raise TemporalUnavailable("Temporal refuses; the poll finds the end.") from error


async def _found(call: Awaitable[Any]) -> Any:
    """Return the answer, True for a signal's, which is empty; None if there is no such open run."""
    try:
        return await answer(call, seconds=SIGNAL_SECONDS) or True
    except RPCError as error:
        if is_gone(error):
            return None
        raise
