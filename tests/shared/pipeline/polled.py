"""A vendor that is waited for, on a clock that passes as the code under test sleeps."""

from collections.abc import Callable, Sequence
from typing import cast

from shared.errors import GenvideoError, OutcomeUnknown, VendorError
from shared.pipeline.heartbeat import Pulse
from shared.pipeline.messages import Accepted, StageLimits
from shared.pipeline.polling import until_ended
from shared.pipeline.vendor import State, Traits, Vendor, VendorStatus
from tests.shared.pipeline.clock import BEGAN as NOW
from tests.shared.pipeline.clock import Clock

News = VendorStatus | VendorError | None
DOWN = OutcomeUnknown("down")
OURS = "job-1.video.1"
LOST, ADDRESS, GIVE_UP = 30.0, 20.0, 3600.0


def accepted_at(seconds: float, *, worked: float = 0) -> Accepted:
    return Accepted(vendor_id="v1", accepted_at=seconds, worked_seconds=worked)


def limits_of(deadline: float = 60, *, give_up: float = GIVE_UP) -> StageLimits:
    return StageLimits(
        deadline=deadline,
        setting="IMAGE_ATTEMPT_SECONDS",
        give_up=give_up,
        lost=LOST,
        address=ADDRESS,
        poll=2,
    )


class FakeVendor:
    """Tells what it is given, by the seconds that have passed; counts how often it is asked."""

    def __init__(self, clock: Clock, news: Callable[[float], News]) -> None:
        self._clock = clock
        self._news = news
        self.traits = Traits()
        self.asked: list[str] = []

    async def status(self, task_id: str) -> VendorStatus | None:
        self.asked.append(task_id)
        news = self._news(self._clock.passed)
        if isinstance(news, VendorError):
            raise news
        return news

    async def address(self, status: VendorStatus) -> str | None:
        return status.url


class Percents(Pulse):
    """Records its calls."""

    def __init__(self) -> None:
        # What the base class does beside belongs to an activity.
        self.began = NOW
        self.percents: list[int] = []
        self.positions: list[int | None] = []
        self.waited_for: list[str] = []
        self.late: list[float] = []
        self.accepted = accepted_at(NOW)

    def now(self) -> float:
        return self.began

    def accept(self, accepted: Accepted) -> None:
        self.accepted = accepted

    async def is_late(self, deadline: float) -> None:
        self.late.append(deadline)

    async def progress(self, percent: int, *, position: int | None = None) -> None:
        self.percents.append(percent)
        self.positions.append(position)

    async def waits(self, error: GenvideoError) -> None:
        self.waited_for.append(error.message)


def is_now(state: State, percent: int = 0, message: str = "") -> VendorStatus:
    url = "http://v/1" if state == "succeeded" else None
    return VendorStatus(vendor_id="v1", state=state, percent=percent, message=message, url=url)


class Stops:
    """Keeps what the vendor was asked to stop, and when."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.at: list[float] = []

    async def __call__(self, vendor_id: str) -> None:
        assert vendor_id == "v1"
        self.at.append(self._clock.passed)


async def wait(
    vendor: FakeVendor,
    *,
    accepted: Accepted | None = None,
    deadline: float = 60,
    pace: float = 1,
    pulse: Percents | None = None,
    stop: Stops | None = None,
    give_up: float = GIVE_UP,
) -> str:
    end = await until_ended(
        cast(Vendor, vendor),
        OURS,
        accepted or accepted_at(NOW),
        pulse=pulse or Percents(),
        limits=limits_of(deadline, give_up=give_up),
        pace=lambda waited, percent: pace,
        stop=stop,
    )
    return end.url


def in_turn(clock: Clock, news: Sequence[News]) -> FakeVendor:
    """One piece of news a second, the last for ever."""
    return FakeVendor(clock, lambda passed: news[min(int(passed), len(news) - 1)])
