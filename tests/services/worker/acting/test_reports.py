"""How far a generation is, and that it is late, as its workflow is told: coarsely and seldom."""

from typing import cast

import pytest
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from services.worker.acting import heartbeat
from services.worker.acting.heartbeat import Pulse
from tests.services.worker.acting.reported import IMAGE, Reports


async def told(reports: Reports, percents: list[int], *, what: str = IMAGE) -> Pulse:
    """A pulse that an activity has told these percents."""

    async def tell() -> Pulse:
        pulse = Pulse(cast(Client, reports), what)
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
        pulse = Pulse(cast(Client, reports), IMAGE)
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
        pulse = Pulse(cast(Client, reports), IMAGE)
        for _ in range(3):
            await pulse.is_late(300)

    await ActivityEnvironment().run(late)
    assert reports.waiting == ["the image takes longer than 300 s; it is waited for"]
