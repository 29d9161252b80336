"""What every vendor-facing activity does beside its work: beat, report, and mind its permit."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError

from services.worker.models import Accepted
from services.worker.policies import HEARTBEAT_INTERVAL, REPORT_POINTS, REPORT_SECONDS
from shared.errors import StalePermit
from shared.ids import parse_external_id
from shared.messages import ProgressReport
from shared.slots import Permit
from shared.temporal import PROGRESS_SIGNAL

# More points than there are: work that is no generation reports no percent.
NEVER = 101


def check_permit(permit: Permit) -> None:
    """StalePermit where the run that called isn't the one that holds the slot (after a reset)."""
    if activity.info().workflow_run_id != permit.run_id:
        raise StalePermit("This run does not hold the slot; another run of the job did.")


class Pulse:
    """The details that the heartbeats carry: the vendor's acceptance and the percent."""

    def __init__(self, client: Client, external_id: str) -> None:
        self.accepted: Accepted | None = None
        self.percent = 0
        self._client = client
        self._external_id = external_id
        generation = parse_external_id(external_id)
        self._points = REPORT_POINTS[generation.step] if generation else NEVER
        self._reported_at = time.monotonic()
        self._reported = 0

    def beat(self) -> None:
        """Tell the server that we are alive, and how far; costs no history."""
        activity.heartbeat(self.accepted, self.percent)

    def accept(self, accepted: Accepted) -> None:
        """The vendor has it: from here on there is progress to report."""
        self.accepted = accepted
        self._reported_at = time.monotonic()
        self.beat()

    def resume(self, accepted: Accepted | None, percent: int) -> None:
        """Go on where the last try of this activity was when it was last heard of."""
        self.accepted = accepted
        self.percent = self._reported = percent

    async def progress(self, percent: int) -> None:
        """Note the percent; a signal carries it into the record when enough has changed."""
        self.percent = max(self.percent, percent)
        now = time.monotonic()
        if self.percent - self._reported < self._points or now - self._reported_at < REPORT_SECONDS:
            return
        self._reported, self._reported_at = self.percent, now
        await self._signal()

    async def _signal(self) -> None:
        info = activity.info()
        handle = self._client.get_workflow_handle(
            str(info.workflow_id), run_id=info.workflow_run_id
        )
        report = ProgressReport(external_id=self._external_id, percent=self.percent)
        try:
            await handle.signal(PROGRESS_SIGNAL, report)
        except RPCError:
            activity.logger.warning("progress could not be reported")


@asynccontextmanager
async def beating(client: Client, external_id: str) -> AsyncIterator[Pulse]:
    """Heartbeats for as long as the block runs; the pulse starts with what the last try knew."""
    pulse = Pulse(client, external_id)
    details = activity.info().heartbeat_details
    if details:
        pulse.resume(Accepted.model_validate(details[0]) if details[0] else None, details[1])

    async def beat() -> None:
        while True:
            pulse.beat()
            await asyncio.sleep(HEARTBEAT_INTERVAL.total_seconds())

    task = asyncio.create_task(beat())
    try:
        yield pulse
    finally:
        task.cancel()
