"""Waiting for a generation, on a clock of the test's own: it always ends, in one of its ways."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from shared.errors import (
    AttemptTimedOut,
    GenerationFailed,
    GenerationLost,
    GenvideoError,
    GivenUp,
    NeverDelivered,
    OutcomeUnknown,
    RefusedForGood,
    RefusedForNow,
    VendorError,
)
from shared.pipeline import polling
from shared.pipeline.heartbeat import Pulse
from shared.pipeline.messages import Accepted, StageLimits
from shared.pipeline.policies import LATE_PACE, POLL_MAX_SECONDS, POLL_MIN_SECONDS, WAITING_SECONDS
from shared.pipeline.polling import Ended, News, share_pace, until_ended
from shared.pipeline.vendor import State, Traits, Vendor, VendorStatus
from tests.shared.pipeline.clock import BEGAN as NOW
from tests.shared.pipeline.clock import Clock

OURS = "job-1.video.1"
LOST, GIVE_UP = 30, 3600
BARE = VendorStatus(vendor_id="v1", state="succeeded")
DONE = BARE.model_copy(update={"url": "http://v/1"})
OTHER = DONE.model_copy(update={"vendor_id": "v2", "url": "http://v/2"})
# A success whose address is asked for in vain.
UNTOLD = BARE.model_copy(update={"url": "http://v/down"})
DOWN, REFUSED = OutcomeUnknown("down"), NeverDelivered("refused")


def is_now(state: State, percent: int = 0, **fields: Any) -> VendorStatus:
    return VendorStatus(vendor_id="v1", state=state, percent=percent, **fields)


RUNNING, QUEUED, FAILED = is_now("running"), is_now("queued"), is_now("failed")
LATE = [*[RUNNING] * 20, FAILED]


class Wait(Pulse):
    """One wait: the vendor that is asked, and what pulse and vendor hear meanwhile."""

    def __init__(self, clock: Clock) -> None:
        # What the base class does beside belongs to an activity.
        self.clock = clock
        self.traits = Traits()
        self.asked: list[str] = []
        self.percents: list[int] = []
        self.positions: list[int | None] = []
        self.waited_for: list[str] = []
        self.late: list[float] = []
        self.stopped_at: list[float] = []

    async def __call__(
        self,
        *news: News,
        by_time: Callable[[float], News] | None = None,
        worked: float = 0,
        ago: float = 0,
        deadline: float = 60,
        pace: float = 1,
        stops: bool = False,
    ) -> Ended:
        """The vendor says one thing a second, and the last for ever; or what it says `by_time`."""
        self.clock.passed = 0
        self._news = by_time or (lambda passed: news[min(int(passed), len(news) - 1)])
        self.accepted = Accepted(vendor_id="v1", accepted_at=NOW - ago, worked_seconds=worked)
        limits = StageLimits(
            deadline=deadline,
            setting="IMAGE_ATTEMPT_SECONDS",
            give_up=GIVE_UP,
            lost=LOST,
            poll=2,
        )
        return await until_ended(
            cast(Vendor, self),
            OURS,
            self.accepted,
            pulse=self,
            limits=limits,
            pace=lambda waited, percent: pace,
            stop=self._stop if stops else None,
        )

    async def _stop(self, vendor_id: str) -> None:
        assert vendor_id == "v1"
        self.stopped_at.append(self.clock.passed)

    # As a vendor

    async def status(self, task_id: str) -> VendorStatus | None:
        self.asked.append(task_id)
        news = self._news(self.clock.passed)
        if isinstance(news, VendorError):
            raise news
        return news

    async def address(self, status: VendorStatus) -> str | None:
        if status == UNTOLD:
            raise DOWN
        return status.url

    # As a pulse

    def now(self) -> float:
        return NOW

    def accept(self, accepted: Accepted) -> None:
        self.accepted = accepted

    async def report_late(self, deadline: float) -> None:
        self.late.append(deadline)

    async def progress(self, percent: int, *, position: int | None = None) -> None:
        self.percents.append(percent)
        self.positions.append(position)

    async def report_wait(self, error: GenvideoError) -> None:
        self.waited_for.append(error.message)


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Wait:
    clock = Clock()
    monkeypatch.setattr(polling, "time", clock)
    monkeypatch.setattr(polling, "asyncio", clock)
    return Wait(clock)


async def test_success_ends_the_wait_and_progress_is_passed_on(wait: Wait) -> None:
    third = is_now("queued", position=3)
    end = await wait(third, is_now("running", 10), is_now("running", 70), DONE)
    assert (end.url, end.units) == ("http://v/1", None)
    assert (wait.percents, wait.positions) == ([0, 10, 70], [3, None, None])
    assert wait.asked == [OURS] * 4


SLOWLY = {"pace": 60}
# What the vendor says, how it is waited for, how that ends, and after how many seconds.
BAD_ENDS: dict[str, tuple[Sequence[News], dict[str, Any], type[VendorError], str, float]] = {
    "with a reason": (
        [is_now("failed", message="no memory")],
        {},
        GenerationFailed,
        "no memory",
        0,
    ),
    "without one": ([FAILED], {}, GenerationFailed, "reports a failure", 0),
    "for good": ([is_now("failed", message="bad", final=True)], {}, RefusedForGood, "bad", 0),
    "late, an image": ([RUNNING, FAILED], {"stops": True}, GenerationFailed, ".", 1),
    "late, a video": (LATE, {"deadline": 5}, GenerationFailed, ".", 20),
    "runs for ever": ([RUNNING], SLOWLY, GivenUp, "within 3600 s", GIVE_UP),
    "waits for ever": ([QUEUED], SLOWLY, GivenUp, "within 3600 s", GIVE_UP),
    "away for ever": ([DOWN], SLOWLY, GivenUp, "within 3600 s", GIVE_UP),
    "address away for ever": ([UNTOLD], SLOWLY, GivenUp, "within 3600 s", GIVE_UP),
    "accepted long ago": ([QUEUED], {"ago": GIVE_UP - 50}, GivenUp, "No result", 51),
    "success that is taken back": ([BARE, RUNNING], SLOWLY, GivenUp, "within 3600 s", GIVE_UP),
    "missing": ([RUNNING, None], {}, GenerationLost, "any more", LOST + 2),
    "no address": ([BARE], {"worked": 500, "stops": True}, GenerationFailed, "address", LOST),
}


@pytest.mark.parametrize(
    ("news", "how", "error", "says", "after"), BAD_ENDS.values(), ids=list(BAD_ENDS)
)
async def test_bad_end(
    wait: Wait,
    news: Sequence[News],
    how: dict[str, Any],
    error: type[VendorError],
    *,
    says: str,
    after: float,
) -> None:
    with pytest.raises(error, match=says) as raised:
        await wait(*news, **how)
    assert raised.type is error
    slack = 2 * LATE_PACE * how.get("pace", 0.4)
    assert wait.clock.passed == pytest.approx(after, abs=slack)
    assert wait.stopped_at == []


AWAY = 100
OUTAGES: list[VendorError] = [REFUSED, RefusedForNow("503"), DOWN]
# Each succeeds.
GOOD_ENDS: dict[str, tuple[Sequence[News], dict[str, Any]]] = {
    "polls that fail": ([DOWN, RUNNING, DOWN, DONE], {}),
    "found after the longest time": ([DONE], {"ago": 10 * GIVE_UP}),
    "success without an address at first": ([*[BARE] * LOST, DONE], {}),
    "success whose address is away for long": ([*[UNTOLD] * 2 * LOST, DONE], {}),
    "success before an outage": ([BARE, *[DOWN] * 2 * LOST, DONE], {}),
    "success despite the stop": ([*[RUNNING] * 20, DONE], {"deadline": 5, "stops": True}),
    "missing for a moment": ([*[None] * LOST, RUNNING, *[None] * LOST, DONE], {}),
    "missing after an outage": ([*[DOWN] * 2 * LOST, None, DONE], {}),
    "away as the try begins": ([*[REFUSED] * AWAY, DONE], {"deadline": 20}),
}


@pytest.mark.parametrize(("news", "how"), GOOD_ENDS.values(), ids=list(GOOD_ENDS))
async def test_good_end(wait: Wait, news: Sequence[News], how: dict[str, Any]) -> None:
    assert (await wait(*news, **how)).url == DONE.url


@pytest.mark.parametrize("pause", [QUEUED, *OUTAGES], ids=["queue", *map(repr, OUTAGES)])
async def test_only_work_counts_against_the_deadline(wait: Wait, pause: News) -> None:
    """Not the time in the vendor's queue, and not that of an outage."""
    await wait(RUNNING, *[pause] * AWAY, *[RUNNING] * 5, DONE, deadline=20)
    assert wait.late == []
    assert wait.accepted is not None
    assert wait.accepted.worked_seconds == pytest.approx(4, abs=1)


async def test_deadline_counts_the_work_of_an_earlier_try(wait: Wait) -> None:
    """A worker that takes over after a crash doesn't give the vendor the whole time again."""
    await wait(*[RUNNING] * 20, DONE, worked=50)
    assert wait.late
    assert wait.clock.pauses.index(LATE_PACE) == pytest.approx(11, abs=1)


@pytest.mark.parametrize(("most", "at"), [(0, 30), (60, 60 + 30 / 3)])
async def test_image_past_its_deadline_is_stopped_once_it_stands_still(
    wait: Wait, most: int, at: float
) -> None:
    def news(passed: float) -> VendorStatus:
        return is_now("failed" if len(wait.stopped_at) > 1 else "running", min(int(passed), most))

    with pytest.raises(AttemptTimedOut, match=r"30 s \(IMAGE_ATTEMPT_SECONDS\)"):
        await wait(by_time=news, deadline=30, stops=True)
    assert wait.stopped_at[0] == pytest.approx(at, abs=2 * LATE_PACE if most else 0.1)


async def test_image_with_progress_is_not_stopped(wait: Wait) -> None:
    """Another attempt would be as slow; and a late take-over watches the progress first."""
    await wait(*(is_now("running", 2 * n) for n in range(50)), DONE, deadline=10, stops=True)
    assert wait.late
    later = [*[RUNNING] * 3, is_now("running", 60), DONE]
    await wait(*later, deadline=30, stops=True, worked=100)
    assert wait.stopped_at == []


async def test_only_a_long_silence_is_reported(wait: Wait) -> None:
    short = int(WAITING_SECONDS)
    await wait(RUNNING, *[DOWN] * short, RUNNING, DONE)
    assert wait.waited_for == []
    await wait(RUNNING, *[DOWN] * (short + 1), DONE)
    assert wait.waited_for == ["down"]


async def test_charged_units_come_with_the_end(wait: Wait) -> None:
    assert (await wait(RUNNING, DONE.model_copy(update={"units": "3.5"}))).units == "3.5"


async def test_answer_with_another_id_is_believed_the_second_time_in_a_row(wait: Wait) -> None:
    """Then the answer to the submit was the wrong one."""
    mixed = [OTHER, RUNNING] * 3
    for news, end in (((*mixed, DONE), DONE), ((RUNNING, OTHER, OTHER), OTHER)):
        assert (await wait(*news)).url == end.url
        assert wait.accepted is not None
        assert wait.accepted.vendor_id == end.vendor_id


@pytest.mark.parametrize(
    ("waited", "percent", "seconds"),
    [
        (0, 0, POLL_MIN_SECONDS),
        (10, 0, 1),
        (10, 50, 1),
        (10, 95, 10 * 5 / 95),
        (0.3, 99, POLL_MIN_SECONDS),
        (10, 100, 1),
        (100, 50, POLL_MAX_SECONDS),
    ],
)
def test_next_poll_of_an_image_is_at_its_predicted_end(
    waited: float, percent: int, seconds: float
) -> None:
    assert share_pace(waited, percent) == pytest.approx(seconds)
