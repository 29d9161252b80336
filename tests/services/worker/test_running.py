"""Beside every vendor-facing activity: heartbeats with what a retry needs, percent, the permit."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from services.worker import running
from services.worker.models import Accepted
from services.worker.policies import WAITING_TRIES
from services.worker.running import Pulse, beating, check_permit
from shared.errors import GenerationFailed, NeverDelivered, StalePermit
from shared.messages import ProgressReport
from shared.slots import Permit

IMAGE = "job-0123456789abcdef01234567.image.1"
ACCEPTED = Accepted(vendor_id="v1", accepted_at=12.5)


class Reports:
    """Stands for the client and its handle; keeps the percents, or refuses them."""

    def __init__(self, *, refuse: bool = False) -> None:
        self.percents: list[int] = []
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


async def told(reports: Reports, percents: list[int]) -> Pulse:
    """A pulse that an activity has told these percents."""
    pulse = Pulse(cast(Client, reports), IMAGE)

    async def tell() -> None:
        for percent in percents:
            await pulse.progress(percent)

    await ActivityEnvironment().run(tell)
    return pulse


@pytest.fixture
def _reports_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "REPORT_SECONDS", -1)


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
async def test_a_report_that_nobody_takes_does_not_end_the_work() -> None:
    pulse = await told(Reports(refuse=True), [50, 99])
    assert pulse.percent == 99


@pytest.mark.usefixtures("_reports_at_once")
async def test_work_that_is_no_generation_reports_nothing() -> None:
    reports = Reports()
    pulse = Pulse(cast(Client, reports), "job-0123456789abcdef01234567")
    await ActivityEnvironment().run(pulse.progress, 100)
    assert reports.percents == []


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
    assert beats == [(None, 0, False), (ACCEPTED, 5, False)]


@pytest.mark.parametrize("more", [[], [False], [False, "what only a newer release tells"]])
async def test_a_retry_goes_on_with_what_the_last_try_had(more: list[object]) -> None:
    environment = ActivityEnvironment()
    details = [{"vendor_id": "v0", "accepted_at": 3.0}, 40, *more]
    environment.info = replace(environment.info, heartbeat_details=details, attempt=2)
    _, pulse = await beats_of(environment)
    assert pulse.accepted == Accepted(vendor_id="v0", accepted_at=3.0)
    assert pulse.percent == 45


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
    assert beats == [(None, 0, True)]
    await failed(reports, AWAY, attempt=WAITING_TRIES + 1, heartbeat_details=beats[-1])
    assert len(reports.waiting) == 1


@pytest.mark.parametrize("error", [GenerationFailed("no"), ValueError("ours")])
async def test_what_is_not_tried_again_is_no_wait(error: Exception) -> None:
    reports = Reports()
    await failed(reports, error, attempt=100)
    assert reports.waiting == []


async def test_a_retry_after_a_try_that_accepted_nothing() -> None:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, heartbeat_details=[None, 0], attempt=2)
    _, pulse = await beats_of(environment)
    assert pulse.accepted == ACCEPTED


@pytest.mark.parametrize(("run_id", "stale"), [("test-run", False), ("another", True)])
async def test_a_permit_is_one_runs_only(run_id: str, stale: bool) -> None:
    permit = Permit(job_id="job-1", run_id=run_id, token=1)
    environment = ActivityEnvironment()
    assert environment.info.workflow_run_id == "test-run"
    if stale:
        with pytest.raises(StalePermit):
            environment.run(check_permit, permit)
    else:
        environment.run(check_permit, permit)
