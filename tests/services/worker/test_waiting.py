"""Waiting for a generation, on a clock of the test's own: it always ends, in one of its ways."""

from collections.abc import Callable, Sequence
from typing import cast

import pytest
from temporalio.client import Client

from services.worker import waiting
from services.worker.models import Accepted
from services.worker.policies import (
    IMAGE_POLL_MAX_SECONDS,
    IMAGE_POLL_MIN_SECONDS,
    LOST_AFTER_SECONDS,
    WAITING_SECONDS,
)
from services.worker.running import Pulse
from services.worker.vendors.client import State, VendorClient, VendorStatus
from services.worker.waiting import image_pace, until_ended
from shared.errors import (
    AttemptTimedOut,
    GenerationFailed,
    GenerationLost,
    GenvideoError,
    NeverDelivered,
    OutcomeUnknown,
    RefusedForNow,
    VendorError,
)

News = VendorStatus | VendorError | None
NOW = 1_000_000.0
DOWN = OutcomeUnknown("down")


class Clock:
    """Stands for the modules `time` and `asyncio` in the code under test."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.pauses: list[float] = []

    def time(self) -> float:
        return NOW + self.passed

    def monotonic(self) -> float:
        return 50.0 + self.passed

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.passed += seconds


class Vendor:
    """Tells what it is given, by the seconds that have passed; counts how often it is asked."""

    def __init__(self, clock: Clock, news: Callable[[float], News]) -> None:
        self._clock = clock
        self._news = news
        self.asked: list[str] = []

    async def status(self, task_id: str) -> VendorStatus | None:
        self.asked.append(task_id)
        news = self._news(self._clock.passed)
        if isinstance(news, VendorError):
            raise news
        return news


class Percents(Pulse):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(cast(Client, None), "job-1.image.1")
        self.percents: list[int] = []
        self.waited_for: list[str] = []
        self.accepted = Accepted(vendor_id="v1", accepted_at=NOW)

    async def progress(self, percent: int) -> None:
        self.percents.append(percent)

    async def waits(self, error: GenvideoError) -> None:
        self.waited_for.append(error.message)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(waiting, "time", clock)
    monkeypatch.setattr(waiting, "asyncio", clock)
    return clock


def is_now(state: State, percent: int = 0, message: str = "") -> VendorStatus:
    return VendorStatus(vendor_id="v1", state=state, percent=percent, message=message)


async def wait(
    vendor: Vendor,
    *,
    accepted_before: float = 0,
    deadline: float = 60,
    pace: float = 1,
    pulse: Percents | None = None,
) -> tuple[VendorStatus, list[int]]:
    pulse = pulse or Percents()
    status = await until_ended(
        cast(VendorClient, vendor),
        Accepted(vendor_id="v1", accepted_at=NOW - accepted_before),
        pulse=pulse,
        deadline_seconds=deadline,
        pace=lambda waited, percent: pace,
    )
    return status, pulse.percents


def in_turn(clock: Clock, news: Sequence[News]) -> Vendor:
    """One piece of news a second, the last for ever."""
    return Vendor(clock, lambda passed: news[min(int(passed), len(news) - 1)])


async def test_success_ends_it_and_the_percents_are_passed_on(clock: Clock) -> None:
    vendor = in_turn(
        clock, [is_now("running", 10), is_now("running", 70), is_now("succeeded", 100)]
    )
    status, told = await wait(vendor)
    assert status.state == "succeeded"
    assert told == [10, 70]
    assert vendor.asked == ["v1"] * 3


@pytest.mark.parametrize("message", ["out of memory", ""])
async def test_a_failure_comes_with_the_vendors_reason(clock: Clock, message: str) -> None:
    with pytest.raises(GenerationFailed, match=message or "reports a failure"):
        await wait(in_turn(clock, [is_now("failed", message=message)]))


async def test_a_failed_poll_is_no_news(clock: Clock) -> None:
    status, _ = await wait(in_turn(clock, [DOWN, is_now("running"), DOWN, is_now("succeeded")]))
    assert status.state == "succeeded"


async def test_the_deadline_counts_from_the_acceptance(clock: Clock) -> None:
    """A worker that takes over after a crash doesn't give the vendor the whole time anew."""
    with pytest.raises(AttemptTimedOut):
        await wait(in_turn(clock, [is_now("running")]), accepted_before=50, deadline=60)
    assert clock.passed == pytest.approx(10, abs=0.1)


async def test_a_long_pause_does_not_reach_beyond_the_deadline(clock: Clock) -> None:
    with pytest.raises(AttemptTimedOut):
        await wait(in_turn(clock, [is_now("running")]), deadline=7, pace=1000)
    assert clock.passed == pytest.approx(7, abs=0.1)


async def test_a_vendor_that_never_answers_ends_at_the_deadline(clock: Clock) -> None:
    with pytest.raises(AttemptTimedOut):
        await wait(in_turn(clock, [DOWN]), deadline=20)


@pytest.mark.parametrize("away", [NeverDelivered("refused"), RefusedForNow("503")])
async def test_an_outage_does_not_count_against_the_generation(
    clock: Clock, away: VendorError
) -> None:
    """The vendor is away for far longer than the deadline, and goes on where it was."""
    news: list[News] = [
        is_now("running"),
        *[away] * 100,
        *[is_now("running")] * 5,
        is_now("succeeded"),
    ]
    pulse = Percents()
    status, _ = await wait(in_turn(clock, news), deadline=20, pulse=pulse)
    assert status.state == "succeeded"
    assert pulse.accepted is not None
    assert pulse.accepted.accepted_at == pytest.approx(NOW + 100, abs=0.1)


async def test_time_before_and_after_an_outage_counts(clock: Clock) -> None:
    news: list[News] = [
        *[is_now("running")] * 5,
        *[NeverDelivered("refused")] * 100,
        is_now("running"),
    ]
    with pytest.raises(AttemptTimedOut):
        await wait(in_turn(clock, news), deadline=20)
    assert clock.passed == pytest.approx(120, abs=0.1)


async def test_a_try_that_begins_in_an_outage_waits_for_its_end(clock: Clock) -> None:
    """Its deadline has passed, and nobody has said that the generation is not ready."""
    news: list[News] = [*[NeverDelivered("refused")] * 30, is_now("succeeded")]
    await wait(in_turn(clock, news), accepted_before=500, deadline=20)
    assert len(clock.pauses) == 30


async def test_a_long_silence_is_told_and_a_short_one_is_not(clock: Clock) -> None:
    short, pulse = int(WAITING_SECONDS), Percents()
    news: list[News] = [is_now("running"), *[DOWN] * short, is_now("running"), is_now("succeeded")]
    await wait(in_turn(clock, news), pulse=pulse)
    assert pulse.waited_for == []
    clock.passed = 0
    news = [is_now("running"), *[DOWN] * (short + 1), is_now("succeeded")]
    await wait(in_turn(clock, news), pulse=pulse)
    assert pulse.waited_for == ["down"]


async def test_what_is_ready_after_the_deadline_is_still_taken(clock: Clock) -> None:
    """It is paid for."""
    status, _ = await wait(in_turn(clock, [is_now("succeeded")]), accepted_before=500, deadline=60)
    assert status.state == "succeeded"


async def test_unknown_for_long_is_lost(clock: Clock) -> None:
    with pytest.raises(GenerationLost):
        await wait(in_turn(clock, [is_now("running"), None]))
    assert LOST_AFTER_SECONDS < clock.passed < LOST_AFTER_SECONDS + 3


async def test_unknown_for_a_moment_is_not_lost(clock: Clock) -> None:
    gap = [None] * int(LOST_AFTER_SECONDS)
    await wait(in_turn(clock, [*gap, is_now("running"), *gap, is_now("succeeded")]))


async def test_an_outage_before_it_does_not_make_a_moment_long(clock: Clock) -> None:
    outage = [DOWN] * int(2 * LOST_AFTER_SECONDS)
    status, _ = await wait(in_turn(clock, [*outage, None, is_now("succeeded")]))
    assert status.state == "succeeded"


async def test_an_acceptance_that_we_learn_of_now(clock: Clock) -> None:
    assert waiting.accepted_now("v9") == Accepted(vendor_id="v9", accepted_at=NOW)


async def test_the_pace_is_asked_with_what_is_known(clock: Clock) -> None:
    asked: list[tuple[float, int]] = []

    def pace(waited: float, percent: int) -> float:
        asked.append((waited, percent))
        return 1

    news: list[News] = [DOWN, is_now("running", 40), DOWN, is_now("succeeded", 100)]
    await until_ended(
        cast(VendorClient, in_turn(clock, news)),
        Accepted(vendor_id="v1", accepted_at=NOW),
        pulse=Percents(),
        deadline_seconds=60,
        pace=pace,
    )
    assert asked == [(0, 0), (1, 40), (2, 40)]


@pytest.mark.parametrize(
    ("waited", "percent", "seconds"),
    [
        (0, 0, IMAGE_POLL_MIN_SECONDS),
        (10, 0, 1),
        (10, 50, 1),
        (10, 95, 10 * 5 / 95),
        (0.3, 99, IMAGE_POLL_MIN_SECONDS),
        (10, 100, IMAGE_POLL_MIN_SECONDS),
        (100, 50, IMAGE_POLL_MAX_SECONDS),
    ],
)
def test_an_image_is_asked_for_when_its_percent_foretells_its_end(
    waited: float, percent: int, seconds: float
) -> None:
    assert image_pace(waited, percent) == pytest.approx(seconds)
