"""A job's leftovers at vendors of the test's own, and their clean-up on a clock of its own."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from pydantic import SecretStr
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.service import ImageService, VideoService
from shared.errors import VendorError
from shared.jobs.messages import Message, Record
from shared.jobs.states import Status
from shared.pipeline.draining import DrainActivities
from shared.pipeline.messages import Kept
from shared.pipeline.storage import Parts, Storage
from shared.pipeline.vendor import State, Traits, VendorStatus
from shared.semaphore.messages import Closed, Drain, OpenRecords
from shared.temporal.codec import PayloadKeys, data_converter
from tests.fixtures.records import RecordStore
from tests.shared.pipeline.clock import BEGAN, Clock
from tests.shared.standins import sample_record
from tests.shared.temporal.test_codec import NEW

JOB = "job-0123456789abcdef01234567"
IMAGE, VIDEO = f"{JOB}.image.1", f"{JOB}.video.1"
ACCEPT, BOUND, LOST = 30.0, 600.0, 100.0
# What a vendor says of a generation after so many seconds.
News = Callable[[float], VendorStatus | VendorError | None]


class Vendor:
    """Answers for each generation with the state of the seconds that have passed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.traits = Traits()
        self.news: dict[str, News] = {}
        self.cancelled: list[str] = []
        self.asked = 0

    async def status(self, ours: str) -> VendorStatus | None:
        self.asked += 1
        news = self.news[ours](self._clock.passed) if ours in self.news else None
        if isinstance(news, VendorError):
            raise news
        return news

    async def address(self, status: VendorStatus) -> str | None:
        return status.url

    async def cancel(self, vendor_id: str) -> None:
        self.cancelled.append(vendor_id)


class Latest:
    """Stands for the client and its handles: the job's latest run, and what a run has begun."""

    data_converter = data_converter(PayloadKeys.parse(NEW))
    namespace = "default"

    def __init__(self) -> None:
        self.run_id = self.first_run_id = "run"
        self.raw_description = self.workflow_execution_info = self
        # What the run's history has scheduled, by name and input; and how the reading of it ends.
        self.begun: list[tuple[str, Message]] = []
        self.broken: Exception | None = None

    def get_workflow_handle(self, job_id: str, *, run_id: str | None = None) -> "Latest":
        return self

    async def describe(self) -> "Latest":
        return self

    async def fetch_history_events(self) -> AsyncIterator[HistoryEvent]:
        yield HistoryEvent()
        for name, given in self.begun:
            event = HistoryEvent(event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
            scheduled = event.activity_task_scheduled_event_attributes
            scheduled.activity_type.name = name
            scheduled.input.payloads.extend(await self.data_converter.encode([given]))
            yield event
        if self.broken is not None:
            raise self.broken


class Scene:
    """A job's leftovers, and the clean-up of them on a clock of the test's own."""

    def __init__(self, clock: Clock, data_dir: Path) -> None:
        self.clock = clock
        self.images, self.videos = Vendor(clock), Vendor(clock)
        self.records = RecordStore(data_dir)
        self.latest = Latest()
        settings = WorkerSettings(
            callback_secret=SecretStr("0123456789abcdef0123456789abcdef"),
            data_dir=data_dir,
            accept_seconds=ACCEPT,
            drain_seconds=BOUND,
            video_lost_seconds=LOST,
        )
        self._activities = DrainActivities(
            Parts(
                settings=settings,
                client=cast(Client, self.latest),
                vendors={
                    "image": cast(ImageService, self.images),
                    "video": cast(VideoService, self.videos),
                },
                storage=cast(Storage, None),
            )
        )

    async def drain(
        self,
        *,
        in_doubt: bool = True,
        hold: float = 0,
        closed: Closed | None = Closed.TERMINATED,
        ago: float | None = None,
        job_id: str = JOB,
    ) -> Kept:
        """`ago`: seconds since an earlier run of the semaphore had it begun."""
        environment = ActivityEnvironment()
        scheduled = datetime.fromtimestamp(BEGAN, UTC)
        environment.info = replace(
            environment.info, scheduled_time=scheduled, started_time=scheduled
        )
        drain = Drain(
            job_id=job_id,
            run_id="run",
            hold_seconds=hold,
            in_doubt=in_doubt,
            closed=closed,
            since=None if ago is None else scheduled - timedelta(seconds=ago),
        )
        kept: Kept = await environment.run(self._activities.drain_job, drain)
        return kept

    async def open_records(self) -> OpenRecords:
        found: OpenRecords = await ActivityEnvironment().run(self._activities.open_records)
        return found

    def record(self, **fields: Any) -> None:
        record = sample_record(JOB, run_id="run").model_copy(update=fields)
        self.records.write(record.followed(datetime.now(UTC), "as it was"))

    @property
    def recorded(self) -> Record:
        record = self.records.read(JOB)
        assert record is not None
        return record

    @property
    def ended(self) -> tuple[Status, str | None]:
        error = self.recorded.error
        return self.recorded.status, error.code if error else None


def now(state: State) -> VendorStatus:
    return VendorStatus(vendor_id=f"v-{state}", state=state)


def always(news: VendorStatus | VendorError | None) -> News:
    return lambda passed: news


def until(seconds: float, news: VendorStatus | VendorError | None, then: News) -> News:
    return lambda passed: news if passed < seconds else then(passed)


def running_until(seconds: float) -> News:
    return until(seconds, now("running"), always(now("succeeded")))
