"""Heartbeats carry what a later try needs, and reports of percent are few."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from shared.errors import GenerationFailed, NeverDelivered, NotThisRun, OutcomeUnknown, Stopped
from shared.jobs.messages import ProgressReport
from shared.pipeline import heartbeat
from shared.pipeline.heartbeat import Pulse, beating, check_run
from shared.pipeline.messages import Accepted
from tests.shared.pipeline.clock import Clock

IMAGE = "job-0123456789abcdef01234567.image.1"
ACCEPTED = Accepted(vendor_id="v1", accepted_at=12.5)
AWAY = NeverDelivered("ConnectError: refused")
Work = Callable[[Pulse], Awaitable[None]]


class Reports:
    """Stands for the client and its handle; keeps what is reported, or refuses it."""

    def __init__(self, *, refuse: bool = False) -> None:
        self.percents: list[int] = []
        self.positions: list[int | None] = []
        self.waiting: list[str] = []
        self._refuse = refuse

    def get_workflow_handle(self, workflow_id: str, *, run_id: str) -> "Reports":
        return self

    async def signal(self, name: str, report: ProgressReport) -> None:
        if self._refuse:
            raise RPCError("gone", RPCStatusCode.NOT_FOUND, b"")
        assert report.external_id == IMAGE
        if report.waiting:
            self.waiting.append(report.waiting)
        else:
            self.percents.append(report.percent)
            self.positions.append(report.position)


class Try:
    """One try of an activity that works with its pulse; `beats` is what the next one finds."""

    def __init__(
        self,
        work: Work,
        reports: Reports | None = None,
        *,
        what: str = IMAGE,
        submits: bool = False,
        **info: Any,
    ) -> None:
        self.beats: list[tuple[Any, ...]] = []
        self.environment = ActivityEnvironment()
        self.environment.info = replace(self.environment.info, **info)
        self.environment.on_heartbeat = lambda *details: self.beats.append(details)
        client = cast(Client, reports or Reports())

        async def run() -> Pulse:
            async with beating(client, what, points=51, submits=submits) as pulse:
                await work(pulse)
            return pulse

        self._run = run

    async def run(self) -> Pulse:
        return await self.environment.run(self._run)


async def accept(pulse: Pulse) -> None:
    """Go on with what there is, or accept, and get a little further."""
    await asyncio.sleep(0)
    pulse.accepted = pulse.accepted or ACCEPTED
    await pulse.progress(pulse.percent + 5)
    pulse.beat()


def fails(error: Exception, *, in_doubt: bool = False) -> Work:
    async def work(pulse: Pulse) -> None:
        pulse.beat()
        pulse.in_doubt = in_doubt
        raise error

    return work


async def failed(this: Try) -> tuple[Any, ...]:
    """The last beat of a try that fails."""
    with pytest.raises((NeverDelivered, GenerationFailed, OutcomeUnknown, ValueError)):
        await this.run()
    return this.beats[-1]


async def test_retry_continues_with_the_last_heartbeat() -> None:
    before = ACCEPTED.model_copy(update={"vendor_id": "v0", "worked_seconds": 3.5})
    beat = [before.model_dump(), 40, True, True, 7, "what only a newer release says"]
    this = Try(accept, heartbeat_details=beat, attempt=2)
    pulse = await this.run()
    # It may submit and die before its next beat.
    assert this.beats[0] == (before, 40, True, False, 7)
    assert pulse.accepted == before
    assert not pulse.in_doubt
    assert (pulse.percent, pulse.position) == (45, 7)


async def test_time_is_the_servers_whatever_the_local_clock() -> None:
    """Another machine goes on with an acceptance, and its clock may be a day off."""
    started = datetime(2001, 2, 3, tzinfo=UTC)
    pulse = await Try(accept, started_time=started).run()
    assert started.timestamp() <= pulse.now() < started.timestamp() + 3600


@pytest.mark.parametrize(
    ("info", "in_doubt"),
    [
        ({}, False),
        ({"attempt": 2}, True),
        ({"current_attempt_scheduled_time": datetime.fromtimestamp(1, UTC)}, True),
        ({"attempt": 2, "heartbeat_details": [None, 0, False, False, None]}, True),
        ({"attempt": 2, "heartbeat_details": [None, 0, False, True, None]}, False),
        ({"attempt": 2, "heartbeat_details": [ACCEPTED, 7, False, False, None]}, False),
    ],
    ids=[
        "first",
        "killed before it beat",
        "reset by hand",
        "killed",
        "ended by itself",
        "killed behind its end",
    ],
)
async def test_doubt_after_the_last_heartbeat(info: dict[str, Any], in_doubt: bool) -> None:
    async def nothing(pulse: Pulse) -> None:
        """Only begin."""

    assert (await Try(nothing, **info).run()).in_doubt is in_doubt


async def test_try_without_doubt_says_so_at_its_end() -> None:
    assert (await failed(Try(fails(AWAY))))[3] is True
    assert (await failed(Try(fails(OutcomeUnknown("reset"), in_doubt=True))))[3] is False
    # Our own mistake: who knows where it was.
    assert (await failed(Try(fails(ValueError("ours")))))[3] is False


async def cancelled(
    *, submits: bool, in_doubt: bool, accepted: Accepted | None, shutdown: bool = False
) -> None:
    begun = asyncio.Event()

    async def work(pulse: Pulse) -> None:
        pulse.in_doubt, pulse.accepted = in_doubt, accepted
        begun.set()
        await asyncio.Event().wait()

    this = Try(work, submits=submits)
    running = asyncio.create_task(this.run())
    await begun.wait()
    if shutdown:
        this.environment.worker_shutdown()
    this.environment.cancel()
    try:
        await running
    finally:
        # The next try finds whether a submit may be on its way.
        assert bool(this.beats and this.beats[-1][3]) is not in_doubt


@pytest.mark.parametrize(
    ("in_doubt", "accepted", "told"),
    [
        (False, None, {"in_doubt": False, "vendor_id": None}),
        (True, None, {"in_doubt": True, "vendor_id": None}),
        (False, ACCEPTED, {"in_doubt": False, "vendor_id": "v1"}),
    ],
)
async def test_stopped_submitting_try_reports_what_it_leaves(
    in_doubt: bool, accepted: Accepted | None, told: dict[str, object]
) -> None:
    with pytest.raises(Stopped) as stopped:
        await cancelled(submits=True, in_doubt=in_doubt, accepted=accepted)
    assert stopped.value.details == (told,)


@pytest.mark.parametrize(("submits", "shutdown"), [(False, False), (True, True)])
async def test_other_stopped_try_ends_as_cancelled(submits: bool, shutdown: bool) -> None:
    """So does one whose worker stops, because it is tried elsewhere."""
    with pytest.raises(asyncio.CancelledError):
        await cancelled(submits=submits, in_doubt=True, accepted=None, shutdown=shutdown)


async def test_order_is_valid_only_for_its_run() -> None:
    environment = ActivityEnvironment()
    environment.run(check_run, str(environment.info.workflow_run_id))
    with pytest.raises(NotThisRun):
        environment.run(check_run, "another")


@pytest.fixture
def _reports_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "REPORT_SECONDS", -1)


async def told(
    reports: Reports, *steps: int, places: Sequence[int | None] = (), what: str = IMAGE
) -> Pulse:
    """A pulse that an activity has told these percents and places in the vendor's queue."""

    async def tell(pulse: Pulse) -> None:
        for percent in steps:
            await pulse.progress(percent)
        for place in places:
            await pulse.progress(0, position=place)

    return await Try(tell, reports, what=what).run()


@pytest.mark.usefixtures("_reports_at_once")
async def test_percent_is_signalled_coarsely_and_never_falls() -> None:
    pulse = await told(reports := Reports(), 1, 20, 50, 51, 10, 67, 100, 3)
    assert reports.percents == [51]
    assert pulse.percent == 100


@pytest.mark.usefixtures("_reports_at_once")
@pytest.mark.parametrize(
    ("places", "signalled"),
    [
        ([9, 8, 5, 4, 3, 2, 1, 0, None, None], [9, 4, 2, 1, 0, None]),
        ([3, 4, 5, 6, 0, 0], [3, 6, 0]),
        ([None, None], []),
    ],
)
async def test_place_in_the_vendors_queue_is_signalled_when_halved_or_doubled(
    places: list[int | None], signalled: list[int | None]
) -> None:
    await told(reports := Reports(), places=places)
    assert reports.positions == signalled


@pytest.mark.usefixtures("_reports_at_once")
async def test_failed_report_does_not_end_the_work() -> None:
    assert (await told(Reports(refuse=True), 50, 99)).percent == 99


@pytest.mark.parametrize("places", [(1, 2), (1, 0), (0, None), (500, 4, None)])
async def test_oscillating_queue_position_costs_few_reports(
    places: tuple[int | None, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(heartbeat, "time", clock)

    async def wait(pulse: Pulse) -> None:
        for place in itertools.islice(itertools.cycle(places), 40_000):
            clock.passed += 2.2
            await pulse.progress(0, position=place)

    await Try(wait, reports := Reports()).run()
    assert len(places) < len(reports.positions) < 60
