"""Nothing that has changed is passed over, though our clock and the server's differ."""

from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any, cast

import pytest

from services.api.feed import poll
from services.api.feed.poll import JobPoll
from services.api.repair import reconcile
from services.api.temporal import look_back
from services.api.temporal.client import Temporal
from services.api.temporal.look_back import LAG, MOST_AHEAD, LookBack
from services.api.temporal.slots import Slots
from tests.services.api.conftest import reconciler_of
from tests.shared.standins import sample_record

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> LookBack:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return NOW

    monkeypatch.setattr(look_back, "datetime", Clock)
    return LookBack()


def test_at_first_all_is_listed(look: LookBack) -> None:
    assert look.since == datetime.fromtimestamp(0, UTC)


def test_while_nothing_shows_it_our_clock_may_be_far_ahead(look: LookBack) -> None:
    look.listed(NOW, [])
    assert look.since == NOW - LAG - MOST_AHEAD


@pytest.mark.parametrize("ahead", [-30, 0, 30, 90])
def test_the_newest_change_tells_by_how_much_at_the_most(look: LookBack, ahead: int) -> None:
    server = NOW - ahead * SECOND
    look.listed(NOW, [server - 900 * SECOND, server - 2 * SECOND])
    assert min(server, NOW) - 2 * SECOND <= look.since + LAG <= server
    look.listed(NOW + SECOND, [])
    assert look.since + LAG <= server + SECOND


class Lists:
    """Stands for Temporal: notes from when on each list is asked for."""

    def __init__(self) -> None:
        self.since: list[datetime] = []

    async def changed_jobs(self, since: datetime) -> list[Any]:
        self.since.append(since)
        return []

    abnormal_ends = ends = changed_jobs


@pytest.mark.parametrize("module", [poll, reconcile])
async def test_a_machine_that_is_ahead_asks_for_all_that_is_new(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType
) -> None:
    lists, feed = Lists(), JobPoll(cast(Temporal, None), cast(Slots, None))
    if module is poll:
        feed = JobPoll(cast(Temporal, lists), cast(Slots, None))
        look = feed.poll
    else:
        feed.put(sample_record("job-0123456789abcdef01234567", run_id="run").job())
        reconciler = reconciler_of(feed, cast(Temporal, lists))
        reconciler._listed = True
        look = reconciler.reconcile

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + 90 * SECOND

    for each in (module, look_back):
        monkeypatch.setattr(each, "datetime", Ahead)
    before = datetime.now(UTC)
    for _ in range(6):
        await look()
    assert max(lists.since) <= before - LAG
