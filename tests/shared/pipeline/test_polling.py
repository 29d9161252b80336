"""Waiting for a generation, on a clock of the test's own: it always ends, in one of its ways."""

from typing import cast

import pytest

from shared.errors import (
    AttemptTimedOut,
    GenerationFailed,
    GenerationLost,
    GivenUp,
    NeverDelivered,
    RefusedForGood,
    RefusedForNow,
    VendorError,
)
from shared.pipeline import polling
from shared.pipeline.policies import (
    LATE_PACE,
    POLL_MAX_SECONDS,
    POLL_MIN_SECONDS,
    WAITING_SECONDS,
)
from shared.pipeline.polling import share_pace, until_ended
from shared.pipeline.vendor import Traits, Vendor, VendorStatus
from tests.shared.pipeline.clock import BEGAN as NOW
from tests.shared.pipeline.clock import Clock
from tests.shared.pipeline.polled import (
    ADDRESS,
    DOWN,
    GIVE_UP,
    LOST,
    OURS,
    FakeVendor,
    News,
    Percents,
    Stops,
    accepted_at,
    in_turn,
    is_now,
    limits_of,
    wait,
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(polling, "time", clock)
    monkeypatch.setattr(polling, "asyncio", clock)
    return clock


async def test_success_ends_the_wait_and_percents_are_passed_on(clock: Clock) -> None:
    vendor = in_turn(
        clock, [is_now("running", 10), is_now("running", 70), is_now("succeeded", 100)]
    )
    pulse = Percents()
    assert await wait(vendor, pulse=pulse) == "http://v/1"
    assert pulse.percents == [10, 70]
    assert vendor.asked == [OURS] * 3


@pytest.mark.parametrize("message", ["out of memory", ""])
async def test_failure_has_the_vendors_reason(clock: Clock, message: str) -> None:
    with pytest.raises(GenerationFailed, match=message or "reports a failure"):
        await wait(in_turn(clock, [is_now("failed", message=message)]))


async def test_permanent_failure_is_final(clock: Clock) -> None:
    final = is_now("failed", message="no such model").model_copy(update={"final": True})
    with pytest.raises(RefusedForGood, match="no such model"):
        await wait(in_turn(clock, [final]))


async def test_place_in_the_vendors_queue_is_passed_on(clock: Clock) -> None:
    pulse, queued = Percents(), is_now("queued").model_copy(update={"position": 3})
    await wait(in_turn(clock, [queued, is_now("running"), is_now("succeeded")]), pulse=pulse)
    assert pulse.positions == [3, None]


async def test_failed_poll_is_ignored(clock: Clock) -> None:
    assert await wait(in_turn(clock, [DOWN, is_now("running"), DOWN, is_now("succeeded")]))


async def test_result_after_the_deadline_is_used(clock: Clock) -> None:
    """It is paid for; a vendor that is slow is asked less often, and the record says so."""
    pulse, news = Percents(), [*[is_now("running")] * 100, is_now("succeeded")]
    assert await wait(in_turn(clock, news), deadline=10, pulse=pulse)
    assert clock.passed == pytest.approx(100, abs=LATE_PACE)
    assert set(clock.pauses[:10]) == {1}
    assert set(clock.pauses[11:]) == {LATE_PACE}
    assert set(pulse.late) == {10}


async def test_time_in_the_vendors_queue_does_not_count(clock: Clock) -> None:
    pulse = Percents()
    news = [*[is_now("queued")] * 100, *[is_now("running")] * 5, is_now("succeeded")]
    assert await wait(in_turn(clock, news), deadline=10, pulse=pulse)
    assert pulse.late == []
    assert pulse.accepted is not None
    assert pulse.accepted.worked_seconds == pytest.approx(4, abs=0.1)


async def test_deadline_counts_the_work_of_an_earlier_try(clock: Clock) -> None:
    """A worker that takes over after a crash doesn't give the vendor the whole time again."""
    pulse, news = Percents(), [*[is_now("running")] * 20, is_now("succeeded")]
    await wait(in_turn(clock, news), accepted=accepted_at(NOW, worked=50), pulse=pulse)
    assert pulse.late
    assert clock.pauses.index(LATE_PACE) == pytest.approx(11, abs=1)


async def test_long_pause_ends_at_the_deadline(clock: Clock) -> None:
    news = [*[is_now("running")] * 50, is_now("succeeded")]
    await wait(in_turn(clock, news), deadline=7, pace=1000)
    assert clock.pauses[0] == pytest.approx(7, abs=0.1)


async def test_image_past_its_deadline_is_stopped_and_fails_as_timed_out(clock: Clock) -> None:
    stop = Stops(clock)
    vendor = FakeVendor(clock, lambda passed: is_now("failed" if len(stop.at) > 1 else "running"))
    with pytest.raises(AttemptTimedOut) as failure:
        await wait(vendor, deadline=10, stop=stop)
    assert stop.at[0] == pytest.approx(10, abs=0.1)
    assert "10 s (IMAGE_ATTEMPT_SECONDS)" in failure.value.message


async def test_image_with_progress_is_not_stopped(clock: Clock) -> None:
    """Another attempt would be as slow."""
    pulse, stop = Percents(), Stops(clock)
    news = [*[is_now("running", 2 * percent) for percent in range(50)], is_now("succeeded")]
    assert await wait(in_turn(clock, news), deadline=10, stop=stop, pulse=pulse)
    assert stop.at == []
    assert pulse.late


async def test_image_without_further_progress_is_stopped(clock: Clock) -> None:
    stop = Stops(clock)

    def news(passed: float) -> VendorStatus:
        return is_now("failed" if stop.at else "running", min(int(passed), 60))

    with pytest.raises(AttemptTimedOut):
        await wait(FakeVendor(clock, news), deadline=30, stop=stop)
    assert stop.at[0] == pytest.approx(60 + 30 / 3, abs=2 * LATE_PACE)


async def test_late_take_over_watches_the_progress_first(clock: Clock) -> None:
    """Its own socket has told nothing yet."""
    stop, late = Stops(clock), accepted_at(NOW, worked=100)
    news = [*[is_now("running")] * 3, is_now("running", 60), is_now("succeeded")]
    assert await wait(in_turn(clock, news), deadline=30, stop=stop, accepted=late)
    assert stop.at == []


async def test_late_failure_of_an_image_is_no_time_out(clock: Clock) -> None:
    stop = Stops(clock)
    with pytest.raises(GenerationFailed) as failure:
        await wait(in_turn(clock, [is_now("running"), is_now("failed")]), stop=stop)
    assert not isinstance(failure.value, AttemptTimedOut)
    assert stop.at == []


async def test_late_failure_of_a_video_is_a_failure(clock: Clock) -> None:
    """Nobody has stopped it."""
    news = [*[is_now("running")] * 20, is_now("failed")]
    with pytest.raises(GenerationFailed):
        await wait(in_turn(clock, news), deadline=5)


async def test_success_despite_the_stop_is_used(clock: Clock) -> None:
    news = [*[is_now("running")] * 20, is_now("succeeded")]
    assert await wait(in_turn(clock, news), deadline=5, stop=Stops(clock))


@pytest.mark.parametrize("news", [is_now("running"), is_now("queued"), DOWN], ids=str)
async def test_endless_generation_is_given_up(clock: Clock, news: News) -> None:
    with pytest.raises(GivenUp, match="within 3600 s"):
        await wait(in_turn(clock, [news]), pace=60)
    assert clock.passed == pytest.approx(GIVE_UP, abs=2 * 60 * LATE_PACE)


async def test_longest_time_counts_from_the_acceptance(clock: Clock) -> None:
    with pytest.raises(GivenUp):
        await wait(in_turn(clock, [is_now("queued")]), accepted=accepted_at(NOW - GIVE_UP + 50))
    assert clock.passed == pytest.approx(51, abs=2)


async def test_result_found_after_the_longest_time_is_used(clock: Clock) -> None:
    assert await wait(
        in_turn(clock, [is_now("succeeded")]), accepted=accepted_at(NOW - 10 * GIVE_UP)
    )


async def test_success_without_an_address_is_polled_again_and_then_fails(
    clock: Clock,
) -> None:
    bare = VendorStatus(vendor_id="v1", state="succeeded")
    assert await wait(in_turn(clock, [*[bare] * int(ADDRESS), is_now("succeeded")]))
    clock.passed = 0
    late, stop = accepted_at(NOW, worked=500), Stops(clock)
    with pytest.raises(GenerationFailed, match="without the result's address"):
        await wait(in_turn(clock, [bare]), accepted=late, stop=stop)
    assert clock.passed == pytest.approx(ADDRESS + 1, abs=1)
    assert stop.at == []


@pytest.mark.parametrize("away", [NeverDelivered("refused"), RefusedForNow("503"), DOWN])
async def test_outage_does_not_count_against_the_generation(
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
    assert await wait(in_turn(clock, news), deadline=20, pulse=pulse)
    assert pulse.late == []
    assert pulse.accepted is not None
    assert pulse.accepted.worked_seconds == pytest.approx(4, abs=1)


async def test_try_that_begins_in_an_outage_waits_for_its_end(clock: Clock) -> None:
    news: list[News] = [*[NeverDelivered("refused")] * 30, is_now("succeeded")]
    await wait(in_turn(clock, news), deadline=20)
    assert len(clock.pauses) == 30


async def test_only_a_long_silence_is_reported(clock: Clock) -> None:
    short, pulse = int(WAITING_SECONDS), Percents()
    news: list[News] = [is_now("running"), *[DOWN] * short, is_now("running"), is_now("succeeded")]
    await wait(in_turn(clock, news), pulse=pulse)
    assert pulse.waited_for == []
    clock.passed = 0
    news = [is_now("running"), *[DOWN] * (short + 1), is_now("succeeded")]
    await wait(in_turn(clock, news), pulse=pulse)
    assert pulse.waited_for == ["down"]


async def test_generation_missing_for_long_is_lost(clock: Clock) -> None:
    with pytest.raises(GenerationLost):
        await wait(in_turn(clock, [is_now("running"), None]))
    assert LOST < clock.passed < LOST + 3


async def test_generation_missing_for_a_moment_is_not_lost(clock: Clock) -> None:
    gap = [None] * int(LOST)
    await wait(in_turn(clock, [*gap, is_now("running"), *gap, is_now("succeeded")]))


async def test_outage_before_it_does_not_lengthen_the_absence(clock: Clock) -> None:
    outage = [DOWN] * int(2 * LOST)
    assert await wait(in_turn(clock, [*outage, None, is_now("succeeded")]))


async def test_vendor_without_our_ids_is_asked_by_its_own(clock: Clock) -> None:
    vendor = in_turn(clock, [is_now("succeeded")])
    vendor.traits = Traits(looked_up=False)
    await wait(vendor)
    assert vendor.asked == ["v1"]


async def test_answer_with_another_id_is_believed_the_second_time(
    clock: Clock,
) -> None:
    """Then the answer to the submit was the wrong one."""
    other = is_now("succeeded").model_copy(update={"vendor_id": "v2", "url": "http://v/2"})
    once, twice = Percents(), Percents()
    running = is_now("running")
    assert await wait(in_turn(clock, [other, running, is_now("succeeded")]), pulse=once) == (
        "http://v/1"
    )
    clock.passed = 0
    assert await wait(in_turn(clock, [running, other, other]), pulse=twice) == "http://v/2"
    assert [each.accepted and each.accepted.vendor_id for each in (once, twice)] == ["v1", "v2"]


@pytest.mark.parametrize("units", [None, "3.5"])
async def test_charged_units_come_with_the_end(clock: Clock, units: str | None) -> None:
    charged = is_now("succeeded").model_copy(update={"units": units})
    end = await until_ended(
        cast(Vendor, in_turn(clock, [is_now("running"), charged])),
        OURS,
        accepted_at(NOW),
        pulse=Percents(),
        limits=limits_of(),
        pace=lambda waited, percent: 1,
    )
    assert end.units == units


@pytest.mark.parametrize(
    ("waited", "percent", "seconds"),
    [
        (0, 0, POLL_MIN_SECONDS),
        (10, 0, 1),
        (10, 50, 1),
        (10, 95, 10 * 5 / 95),
        (0.3, 99, POLL_MIN_SECONDS),
        (10, 100, POLL_MIN_SECONDS),
        (100, 50, POLL_MAX_SECONDS),
    ],
)
def test_next_poll_of_an_image_is_at_its_predicted_end(
    waited: float, percent: int, seconds: float
) -> None:
    assert share_pace(waited, percent) == pytest.approx(seconds)
