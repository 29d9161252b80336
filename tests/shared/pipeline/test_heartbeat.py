"""Heartbeats carry what a later try needs, and reports of percent are few."""

import asyncio
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
from shared.pipeline.policies import WAITING_TRIES

IMAGE = "job-0123456789abcdef01234567.image.1"


class Reports:
    """Stands for the client and its handle; keeps the percents, or refuses them."""

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


ACCEPTED = Accepted(vendor_id="v1", accepted_at=12.5)


async def beats_of(environment: ActivityEnvironment) -> tuple[list[tuple[Any, ...]], Pulse]:
    """What a block of work sent while it accepted a generation and was told a percent."""
    beats: list[tuple[Any, ...]] = []
    environment.on_heartbeat = lambda *details: beats.append(details)

    async def work() -> Pulse:
        async with beating(cast(Client, Reports()), IMAGE) as pulse:
            await asyncio.sleep(0)
            pulse.accepted = pulse.accepted or ACCEPTED
            await pulse.progress(pulse.percent + 5)
            pulse.beat()
        return pulse

    return beats, await environment.run(work)


async def test_heartbeats_carry_what_a_retry_needs() -> None:
    beats, _ = await beats_of(ActivityEnvironment())
    assert beats == [(ACCEPTED, 5, False, False, None)]


@pytest.mark.parametrize(
    "more", [[], [False], [False, True], [False, True, 7, "what only a newer release tells"]]
)
async def test_a_retry_goes_on_with_what_the_last_try_had(more: list[object]) -> None:
    environment = ActivityEnvironment()
    before = ACCEPTED.model_copy(update={"vendor_id": "v0", "worked_seconds": 3.5})
    details = [before.model_dump(), 40, *more]
    environment.info = replace(environment.info, heartbeat_details=details, attempt=2)
    [first, *_], pulse = await beats_of(environment)
    # It may submit and die before its next beat.
    assert first == (before, 40, bool(more and more[0]), False, 7 if 7 in more else None)
    assert pulse.accepted == before
    assert not pulse.in_doubt
    assert pulse.percent == 45
    assert pulse.position == (7 if 7 in more else None)


async def test_the_time_is_the_servers_whatever_this_machines_clock_says() -> None:
    """Another machine goes on with an acceptance, and its clock may be a day off."""
    environment = ActivityEnvironment()
    started = datetime(2001, 2, 3, tzinfo=UTC)
    environment.info = replace(environment.info, started_time=started)
    _, pulse = await beats_of(environment)
    assert started.timestamp() <= pulse.now() < started.timestamp() + 3600


async def failed(reports: Reports, error: Exception, **info: Any) -> list[tuple[Any, ...]]:
    """What is beaten by a try that ends with this error."""
    beats: list[tuple[Any, ...]] = []
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, **info)
    environment.on_heartbeat = lambda *details: beats.append(details)

    async def work() -> None:
        async with beating(cast(Client, reports), IMAGE):
            raise error

    with pytest.raises(type(error)):
        await environment.run(work)
    return beats


AWAY = NeverDelivered("ConnectError: refused")


async def test_a_wait_for_the_vendor_is_told_once() -> None:
    reports = Reports()
    for attempt in range(1, WAITING_TRIES):
        await failed(reports, AWAY, attempt=attempt)
    assert reports.waiting == []
    beats = await failed(reports, AWAY, attempt=WAITING_TRIES)
    [waiting] = reports.waiting
    assert waiting.startswith(
        "waiting for the image service: ConnectError: refused (never_delivered"
    )
    assert waiting.endswith("no attempt is used up)")
    assert beats == [(None, 0, True, False, None)]
    await failed(reports, AWAY, attempt=WAITING_TRIES + 1, heartbeat_details=beats[-1])
    assert len(reports.waiting) == 1


@pytest.mark.parametrize("error", [GenerationFailed("no"), ValueError("ours")])
async def test_what_is_not_tried_again_is_no_wait(error: Exception) -> None:
    reports = Reports()
    await failed(reports, error, attempt=100)
    assert reports.waiting == []


@pytest.mark.parametrize(
    ("info", "in_doubt"),
    [
        ({}, False),
        ({"attempt": 2}, True),
        ({"current_attempt_scheduled_time": datetime.fromtimestamp(1, UTC)}, True),
        ({"attempt": 2, "heartbeat_details": [None, 0, False, False]}, True),
        ({"attempt": 2, "heartbeat_details": [None, 0, False, True]}, False),
        ({"attempt": 2, "heartbeat_details": [ACCEPTED.model_dump(), 7, False, False]}, False),
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
async def test_what_a_try_may_believe_of_the_one_before_it(
    info: dict[str, Any], in_doubt: bool
) -> None:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, **info)

    async def look() -> bool:
        async with beating(cast(Client, Reports()), IMAGE) as pulse:
            return pulse.in_doubt

    assert await environment.run(look) is in_doubt


async def last_beat(error: Exception, *, in_doubt: bool) -> tuple[Any, ...]:
    """What a try leaves to the next one when it fails so."""
    beats: list[tuple[Any, ...]] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *details: beats.append(details)

    async def work() -> None:
        async with beating(cast(Client, Reports()), IMAGE) as pulse:
            pulse.beat()
            pulse.in_doubt = in_doubt
            raise error

    with pytest.raises(type(error)):
        await environment.run(work)
    return beats[-1]


async def test_a_try_that_knows_that_nothing_is_on_its_way_says_so_when_it_ends() -> None:
    assert (await last_beat(AWAY, in_doubt=False))[3] is True
    assert (await last_beat(OutcomeUnknown("reset"), in_doubt=True))[3] is False
    # Our own mistake: who knows where it was.
    assert (await last_beat(ValueError("ours"), in_doubt=False))[3] is False


@pytest.mark.parametrize(
    ("in_doubt", "accepted", "told"),
    [
        (False, None, {"in_doubt": False, "vendor_id": None}),
        (True, None, {"in_doubt": True, "vendor_id": None}),
        (False, ACCEPTED, {"in_doubt": False, "vendor_id": "v1"}),
    ],
)
async def test_a_submitting_try_that_is_stopped_says_what_it_leaves(
    in_doubt: bool, accepted: Accepted | None, told: dict[str, object]
) -> None:
    with pytest.raises(Stopped) as stopped:
        await cancelled(submits=True, in_doubt=in_doubt, accepted=accepted)
    assert stopped.value.details == (told,)


async def test_any_other_one_ends_as_cancelled() -> None:
    with pytest.raises(asyncio.CancelledError):
        await cancelled(submits=False, in_doubt=True, accepted=ACCEPTED)


async def test_one_whose_worker_stops_ends_as_cancelled_for_it_is_tried_elsewhere() -> None:
    with pytest.raises(asyncio.CancelledError):
        await cancelled(submits=True, in_doubt=True, accepted=None, shutdown=True)


async def cancelled(
    *, submits: bool, in_doubt: bool, accepted: Accepted | None, shutdown: bool = False
) -> None:
    environment = ActivityEnvironment()
    begun = asyncio.Event()

    async def work() -> None:
        async with beating(cast(Client, Reports()), IMAGE, submits=submits) as pulse:
            pulse.in_doubt, pulse.accepted = in_doubt, accepted
            begun.set()
            await asyncio.Event().wait()

    running = asyncio.create_task(environment.run(work))
    await begun.wait()
    if shutdown:
        environment.worker_shutdown()
    environment.cancel()
    await running


@pytest.mark.parametrize(("run_id", "other"), [("test-run", False), ("another", True)])
async def test_an_order_is_one_runs_only(run_id: str, other: bool) -> None:
    environment = ActivityEnvironment()
    assert environment.info.workflow_run_id == "test-run"
    if other:
        with pytest.raises(NotThisRun):
            environment.run(check_run, run_id)
    else:
        environment.run(check_run, run_id)


async def told(reports: Reports, percents: list[int], *, what: str = IMAGE) -> Pulse:
    """A pulse that an activity has told these percents."""

    async def tell() -> Pulse:
        pulse = Pulse(cast(Client, reports), what, 51)
        for percent in percents:
            await pulse.progress(percent)
        return pulse

    return await ActivityEnvironment().run(tell)


@pytest.fixture
def _reports_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "REPORT_SECONDS", -1)


@pytest.mark.usefixtures("_reports_at_once")
async def test_percent_is_signalled_coarsely_and_never_falls() -> None:
    reports = Reports()
    pulse = await told(reports, [1, 20, 50, 51, 10, 67, 100, 3])
    assert reports.percents == [51]
    assert pulse.percent == 100


async def test_percent_is_signalled_seldom() -> None:
    reports = Reports()
    await told(reports, list(range(101)))
    assert reports.percents == []


@pytest.mark.usefixtures("_reports_at_once")
@pytest.mark.parametrize(
    ("places", "told"),
    [
        ([9, 8, 5, 4, 3, 2, 1, 0, None, None], [9, 4, 2, 1, 0, None]),
        ([3, 4, 5, 6, 0, 0], [3, 6, 0]),
        ([None, None], []),
    ],
)
async def test_a_place_in_the_vendors_queue_is_signalled_when_it_has_halved_or_doubled(
    places: list[int | None], told: list[int | None]
) -> None:
    reports = Reports()

    async def tell() -> None:
        pulse = Pulse(cast(Client, reports), IMAGE, 51)
        for place in places:
            await pulse.progress(0, position=place)

    await ActivityEnvironment().run(tell)
    assert reports.positions == told


@pytest.mark.usefixtures("_reports_at_once")
async def test_a_report_that_nobody_takes_does_not_end_the_work() -> None:
    pulse = await told(Reports(refuse=True), [50, 99])
    assert pulse.percent == 99


@pytest.mark.usefixtures("_reports_at_once")
async def test_work_that_is_no_generation_reports_nothing() -> None:
    reports = Reports()
    await told(reports, [100], what="job-0123456789abcdef01234567")
    assert reports.percents == []


@pytest.mark.usefixtures("_reports_at_once")
async def test_a_late_vendor_is_told_once() -> None:
    reports = Reports()

    async def late() -> None:
        pulse = Pulse(cast(Client, reports), IMAGE, 51)
        for _ in range(3):
            await pulse.is_late(300)

    await ActivityEnvironment().run(late)
    assert reports.waiting == ["the image takes longer than 300 s; the wait goes on"]
