"""What every vendor-facing activity does beside its work: beat, report, and mind its permit."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError

from services.worker.models import Accepted
from services.worker.policies import (
    HEARTBEAT_INTERVAL,
    REPORT_POINTS,
    REPORT_SECONDS,
    WAITING_TRIES,
)
from shared.errors import GenvideoError, StaleGate, StalePermit, VendorError, what_kind
from shared.ids import parse_external_id
from shared.messages import ProgressReport
from shared.slots import Permit
from shared.temporal import PROGRESS_SIGNAL

log = structlog.get_logger(__name__)

# More points than there are: work that is no generation reports no percent.
NEVER = 101


def check_permit(permit: Permit, gate: Permit | None = None) -> None:
    """StalePermit where the run that called isn't the one that holds the slot (after a reset).

    StaleGate where it is, and the permit of its stage's gate is another run's.
    """
    ours = activity.info().workflow_run_id
    if permit.run_id != ours:
        raise StalePermit("This run does not hold the slot; another run of the job did.")
    if gate is not None and gate.run_id != ours:
        raise StaleGate(f"This run does not hold the {gate.gate} gate; another run of the job did.")


class Pulse:
    """What the heartbeats carry: the vendor's acceptance, the percent, whether a wait is told."""

    def __init__(self, client: Client, external_id: str) -> None:
        self.accepted: Accepted | None = None
        self.percent = 0
        self.told = False
        self._client = client
        self._external_id = external_id
        generation = parse_external_id(external_id)
        self._step = generation.step if generation else None
        self._points = REPORT_POINTS[generation.step] if generation else NEVER
        self._reported_at = time.monotonic()
        self._reported = 0

    def beat(self) -> None:
        """Tell the server that we are alive, and how far; costs no history."""
        activity.heartbeat(self.accepted, self.percent, self.told)

    def accept(self, accepted: Accepted) -> None:
        """The vendor has it: from here on there is progress to report."""
        self.accepted = accepted
        self._reported_at = time.monotonic()
        self.beat()

    def postpone(self, seconds: float) -> None:
        """Time in which the vendor was away doesn't count against its generation."""
        if self.accepted is not None:
            later = self.accepted.accepted_at + seconds
            self.accepted = self.accepted.model_copy(update={"accepted_at": later})

    def resume(self, accepted: Accepted | None, percent: int, told: bool = False) -> None:
        """Go on where the last try of this activity was when it was last heard of."""
        self.accepted = accepted
        self.percent = self._reported = percent
        self.told = told

    async def progress(self, percent: int) -> None:
        """Note the percent; a signal carries it into the record when enough has changed."""
        self.percent = max(self.percent, percent)
        now = time.monotonic()
        if self.percent - self._reported < self._points or now - self._reported_at < REPORT_SECONDS:
            return
        self._reported, self._reported_at = self.percent, now
        await self._signal()

    async def waits(self, error: GenvideoError) -> None:
        """Have the record say what the job waits for; once, for it costs history."""
        if self.told or self._step is None:
            return
        self.told = True
        self.beat()
        what = f"to store the {self._step}"
        if isinstance(error, VendorError):
            what = f"for the {self._step} service"
        kind = what_kind(error)
        log.warning("waiting", what=what, code=error.code, reason=error.message, **kind)
        await self._signal(f"waiting {what}: {error.message[:200]} ({error.code}; {kind['next']})")

    async def _signal(self, waiting: str = "") -> None:
        info = activity.info()
        handle = self._client.get_workflow_handle(
            str(info.workflow_id), run_id=info.workflow_run_id
        )
        report = ProgressReport(
            external_id=self._external_id, percent=self.percent, waiting=waiting
        )
        try:
            await handle.signal(PROGRESS_SIGNAL, report)
        except RPCError:
            activity.logger.warning("progress could not be reported")


async def outlasting(task: asyncio.Task[None]) -> None:
    """Wait for the task's end however often we are cancelled meanwhile, and be cancelled then."""
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    task.result()


@asynccontextmanager
async def beating(client: Client, external_id: str) -> AsyncIterator[Pulse]:
    """Heartbeats for as long as the block runs; the pulse starts with what the last try knew."""
    pulse = Pulse(client, external_id)
    details = activity.info().heartbeat_details
    if details:
        accepted, *rest = details
        pulse.resume(Accepted.model_validate(accepted) if accepted else None, *rest)

    async def beat() -> None:
        while True:
            pulse.beat()
            await asyncio.sleep(HEARTBEAT_INTERVAL.total_seconds())

    task = asyncio.create_task(beat())
    try:
        yield pulse
    except GenvideoError as error:
        if error.retryable and activity.info().attempt >= WAITING_TRIES:
            await pulse.waits(error)
        raise
    finally:
        task.cancel()
