"""The common part of every activity at a vendor: heartbeats, reports, what is in doubt."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError

from shared.errors import Fenced, GenvideoError, NotThisRun, Stopped, VendorError, what_kind
from shared.jobs.ids import parse_external_id
from shared.jobs.messages import ProgressReport
from shared.pipeline.messages import Accepted, Left
from shared.pipeline.policies import REPORT_SECONDS, WAITING_TRIES
from shared.temporal.activities import is_first_try
from shared.temporal.client import PROGRESS_SIGNAL
from shared.temporal.pace import between_beats

log = structlog.get_logger(__name__)

T = TypeVar("T")
# More points than there are, for work that reports no percent.
NEVER = 101


def check_run(run_id: str) -> None:
    """Raise NotThisRun if the calling run isn't the one in the order (after a reset)."""
    if run_id != activity.info().workflow_run_id:
        raise NotThisRun("This run does not hold the slot; another run of the job did.")


class Pulse:
    """The content of heartbeats: acceptance, percent, whether a wait is reported, and the recorded
    place in the vendor's queue.

    `in_doubt`: a submit of this generation may be on its way. `settled`: the last try ended by
    itself and knew that none was.
    """

    def __init__(self, client: Client, external_id: str, points: int) -> None:
        self.accepted: Accepted | None = None
        self.percent = 0
        self.position: int | None = None
        self.wait_reported = False
        self.settled = False
        self.in_doubt = False
        self._ahead = activity.info().started_time.timestamp() - time.monotonic()
        self._client = client
        self._external_id = external_id
        generation = parse_external_id(external_id)
        self._step = generation.step if generation else None
        self._points = points if generation else NEVER
        self._reported_at = time.monotonic()
        self._reported = 0
        # Before a report that the queue before it has grown. It doubles with each, because that may
        # go on for hours, and a report costs history.
        self._pause = REPORT_SECONDS

    def now(self) -> float:
        """Return the server's time in epoch seconds, never ahead of it: the start of this try plus
        the elapsed time."""
        return self._ahead + time.monotonic()

    def beat(self) -> None:
        """Send a heartbeat, which costs no history."""
        activity.heartbeat(
            self.accepted, self.percent, self.wait_reported, self.settled, self.position
        )

    def accept(self, accepted: Accepted) -> None:
        """Note the acceptance; from here on there is progress to report."""
        self.in_doubt = False
        self.accepted = accepted
        self._reported_at = time.monotonic()
        self.beat()

    def worked(self, seconds: float) -> None:
        if self.accepted is not None:
            worked = self.accepted.worked_seconds + seconds
            self.accepted = self.accepted.model_copy(update={"worked_seconds": worked})

    def follow(self, details: Sequence[Any], *, is_first: bool) -> None:
        """Start with the last heartbeat of the try before; `is_first`: there was none.

        A later release may send more.
        """
        if not details:
            self.in_doubt = not is_first
            return
        accepted, percent, wait_reported, settled, position, *_ = details
        self.accepted = Accepted.model_validate(accepted) if accepted else None
        self.percent = self._reported = percent
        self.wait_reported, self.position = wait_reported, position
        self.in_doubt = self.accepted is None and not settled

    def left(self) -> Left:
        """Return what remains at the vendor if no other try follows."""
        vendor_id = self.accepted.vendor_id if self.accepted else None
        return Left(in_doubt=self.in_doubt, vendor_id=vendor_id)

    def settle(self) -> None:
        self.settled = True
        self.beat()

    async def progress(self, percent: int, *, position: int | None = None) -> None:
        """Note percent and position in the vendor's queue; a signal carries them into the record if
        they have changed enough."""
        self.percent = max(self.percent, percent)
        now = time.monotonic()
        if now - self._reported_at < REPORT_SECONDS:
            return
        further = self.percent - self._reported >= self._points
        moved = _has_moved(self.position, position)
        if moved and position is not None and (self.position is None or position > self.position):
            moved = now - self._reported_at >= self._pause
            self._pause *= 2 if moved else 1
        if not further and not moved:
            return
        self._reported, self._reported_at, self.position = self.percent, now, position
        await self._signal()

    async def report_late(self, deadline: float) -> None:
        """Record once that the vendor takes longer than expected."""
        if not self._reports_wait():
            return
        log.warning("vendor is late", external_id=self._external_id, deadline=deadline)
        await self._signal(f"the {self._step} takes longer than {deadline:g} s; the wait goes on")

    async def report_wait(self, error: GenvideoError) -> None:
        """Record once what the job waits for, because each report costs history."""
        if not self._reports_wait():
            return
        what = f"to store the {self._step}"
        if isinstance(error, VendorError):
            what = f"for the {self._step} service"
        kind = what_kind(error)
        log.warning("waiting", what=what, code=error.code, reason=error.message, **kind)
        await self._signal(f"waiting {what}: {error.message[:200]} ({error.code}; {kind['next']})")

    def _reports_wait(self) -> bool:
        if self.wait_reported or self._step is None:
            return False
        self.wait_reported = True
        self.beat()
        return True

    async def _signal(self, waiting: str = "") -> None:
        info = activity.info()
        handle = self._client.get_workflow_handle(
            str(info.workflow_id), run_id=info.workflow_run_id
        )
        report = ProgressReport(
            external_id=self._external_id,
            percent=self.percent,
            waiting=waiting,
            position=self.position,
        )
        try:
            await handle.signal(PROGRESS_SIGNAL, report)
        except RPCError:
            activity.logger.warning("progress could not be reported")


def _has_moved(reported: int | None, now: int | None) -> bool:
    """True if it has halved or doubled, so that a long queue costs few signals."""
    if reported is None or now is None or reported == now:
        return reported != now
    return 2 * now <= reported or 2 * reported <= now


async def outlast(task: asyncio.Task[T]) -> bool:
    """Wait until the task has ended, whatever cancels this wait; return whether something did."""
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    return cancelled


@asynccontextmanager
async def beating(
    client: Client, external_id: str, *, points: int = NEVER, submits: bool = False
) -> AsyncIterator[Pulse]:
    """Send heartbeats during the block; the pulse starts with the last try's knowledge.

    If the block `submits`, each failure says what it leaves at the vendor, and a cancellation is
    raised as Stopped, because a plain one would not say so.
    """
    pulse = Pulse(client, external_id, points)
    info = activity.info()
    pulse.follow(info.heartbeat_details, is_first=is_first_try())
    if info.heartbeat_details:
        # If the last try knew that nothing was on its way, that holds no longer.
        pulse.beat()

    async def beat() -> None:
        while True:
            await asyncio.sleep(between_beats(info.heartbeat_timeout))
            pulse.beat()

    task = asyncio.create_task(beat())
    try:
        yield pulse
    except asyncio.CancelledError:
        if not pulse.in_doubt:
            pulse.settle()
        if submits and not activity.is_worker_shutdown():
            stopped = Stopped("It was stopped.")
            stopped.details = (pulse.left().model_dump(),)
            raise stopped from None
        raise
    except GenvideoError as error:
        if submits:
            error.details = (pulse.left().model_dump(),)
        waits = error.retryable and not isinstance(error, Fenced)
        if waits and info.attempt >= WAITING_TRIES:
            await pulse.report_wait(error)
        if not pulse.in_doubt:
            pulse.settle()
        raise
    finally:
        task.cancel()
