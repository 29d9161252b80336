"""Signals jobs through Temporal, within a second; what Temporal does not take is sent later."""

from datetime import timedelta

import structlog
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from services.callback.models import Event, Fate
from shared.errors import TemporalRefuses, TemporalUnavailable
from shared.temporal.client import KLING_DONE_SIGNAL, answer
from shared.temporal.refusals import is_gone

log = structlog.get_logger(__name__)

# The vendor hears from us within about a second, whatever Temporal does.
SIGNAL_SECONDS = 1.0
RPC_TIMEOUT = timedelta(seconds=SIGNAL_SECONDS)


class JobSignals:
    """Signals ends, and asks whether a job runs where there is no record of it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def send(self, event: Event, found: Fate, *, known: bool) -> Fate:
        """The fate by what Temporal says of the workflow; TemporalUnavailable for anything else."""
        try:
            return await self._send(event, found, known=known)
        except (RPCError, TemporalRefuses) as error:
            # A right that we lack, a namespace that isn't there: somebody will put it right.
            log.error("Temporal refuses", reason=error.message)
            raise TemporalUnavailable("Temporal refuses; the callback is kept.") from error

    async def _send(self, event: Event, found: Fate, *, known: bool) -> Fate:
        if not event.ended:
            return found if known else await self._by_run(event.job_id, found)
        handle = self._client.get_workflow_handle(event.job_id)
        signal = handle.signal(KLING_DONE_SIGNAL, event.done(), rpc_timeout=RPC_TIMEOUT)
        try:
            await answer(signal, seconds=SIGNAL_SECONDS)
        except RPCError as error:
            if not is_gone(error):
                raise
            return Fate.LATE if known else await self._by_run(event.job_id, Fate.LATE)
        return found

    async def _by_run(self, job_id: str, fate: Fate) -> Fate:
        """`fate` where the job runs, `late` where it ended, `unknown` where it never was."""
        handle = self._client.get_workflow_handle(job_id)
        try:
            found = await answer(handle.describe(rpc_timeout=RPC_TIMEOUT), seconds=SIGNAL_SECONDS)
        except RPCError as error:
            if is_gone(error):
                return Fate.UNKNOWN
            raise
        return fate if found.status is WorkflowExecutionStatus.RUNNING else Fate.LATE
