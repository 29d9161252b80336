"""Permits, one event after the other."""

from datetime import timedelta

import pytest

from services.semaphore.deterministic.permits import MAX_ON_DECK, MAX_SILENT, Permits
from shared.slot.messages import Acquire, SemaphoreSettings
from tests.services.semaphore.asking import (
    START,
    ask,
    asked,
    has_to_tell,
    new_permits,
    request,
    settle,
    told,
)


def test_being_next_gives_no_right() -> None:
    made = new_permits(waiting=2)
    assert told(made) == ["run-0"]
    assert not has_to_tell(made)
    assert settle(made) == []
    assert made.awaited() == {"run-0"}


def test_who_is_next_and_asks_is_granted_and_the_one_behind_is_next() -> None:
    made = new_permits(waiting=3)
    [mine] = asked(made, 0)
    assert not made.is_decided(mine)
    [permit] = settle(made)
    assert made.is_decided(mine)
    assert made.permit_for(mine) == permit
    assert (permit.run_id, permit.token) == ("run-0", 100)
    assert told(made) == ["run-1"]
    view = made.view()
    assert [each.job_id for each in view.holders] == ["job-0"]
    assert (view.waiting, view.waiting_count) == (("job-1", "job-2"), 2)


def test_who_holds_is_answered_at_once_however_often_it_asks() -> None:
    made = new_permits(waiting=1)
    asked(made, 0)
    [permit] = settle(made)
    again = ask(0, tries=2)
    made.ask(again)
    assert made.is_decided(again)
    assert made.permit_for(again) == permit


def test_who_asks_before_its_turn_is_sent_away_and_told_when_it_comes() -> None:
    made = new_permits(waiting=2)
    told(made)
    [early] = asked(made, 1)
    assert made.is_decided(early)
    assert made.permit_for(early) is None
    made.withdraw("run-0")
    assert told(made) == ["run-1"]


def test_the_overtaken_one_is_sent_away_and_told_again() -> None:
    made = new_permits(waiting=1)
    made.settings = SemaphoreSettings(paused=True)
    told(made)
    [mine] = asked(made, 0)
    assert not made.is_decided(mine)
    made.request(request(9, priority=1))
    assert made.is_decided(mine)
    assert made.permit_for(mine) is None
    assert told(made) == ["run-9"]
    made.withdraw("run-9")
    assert told(made) == ["run-0"]


def test_who_was_overtaken_before_it_asked_is_told_again_as_well() -> None:
    made = new_permits(waiting=1)
    told(made)
    made.request(request(9, priority=1))
    assert told(made) == ["run-9"]
    made.withdraw("run-9")
    assert told(made) == ["run-0"]


def test_who_was_told_and_asks_to_wait_once_more_is_told_again() -> None:
    """What it was told it has used up elsewhere: at the slot, say, which it had lost."""
    made = new_permits(waiting=2)
    told(made)
    made.pass_over({"run-0"})
    assert told(made) == ["run-1"]
    made.request(request(0))
    assert told(made) == ["run-0"]


def test_who_asks_for_its_permit_is_not_told_again_by_a_repeated_request() -> None:
    made = new_permits(waiting=1)
    made.settings = SemaphoreSettings(paused=True)
    told(made)
    [mine] = asked(made, 0)
    made.request(request(0))
    assert not has_to_tell(made)
    assert not made.is_decided(mine)


def test_a_run_that_nobody_knew_is_sent_away_and_waits_to_be_told() -> None:
    """It may have closed, and a try of it that was frozen asks."""
    made = new_permits()
    [stray] = asked(made, 5)
    assert settle(made) == []
    assert made.is_decided(stray)
    assert made.permit_for(stray) is None
    assert told(made) == ["run-5"]
    asked(made, 5)
    assert [permit.run_id for permit in settle(made)] == ["run-5"]


def test_where_there_is_no_room_an_unknown_run_is_sent_away() -> None:
    made = new_permits(waiting=1)
    made.capacity = 1
    [mine] = asked(made, 5)
    assert made.is_decided(mine)
    assert made.permit_for(mine) is None
    assert not made.knows("run-5")


@pytest.mark.parametrize("holds", [True, False])
def test_an_older_try_gets_nothing_once_a_later_one_has_asked(holds: bool) -> None:
    made = new_permits(waiting=1)
    made.settings = SemaphoreSettings(paused=not holds)
    old, new = ask(0, tries=1), ask(0, tries=2)
    for each in (old, new):
        made.ask(each)
    settle(made)
    assert made.heard("run-0") == new.fence
    made.ask(old)
    assert made.heard("run-0") == new.fence
    assert made.is_decided(old)
    assert made.permit_for(old) is None
    made.settings = SemaphoreSettings()
    settle(made)
    assert made.permit_for(new) is not None


def test_a_later_try_takes_the_permit_over() -> None:
    made = new_permits(waiting=1)
    [old] = asked(made, 0)
    settle(made)
    made.ask(Acquire(request=request(0), fence=(1, 1, 1), holds_seconds=7))
    assert made.permit_for(old) is None
    assert made.held["run-0"].holds_seconds == 7


def test_a_place_is_kept_for_who_is_next_and_silent_until_it_is_passed_over() -> None:
    made = new_permits(waiting=3)
    made.settings = SemaphoreSettings(limit=2)
    asked(made, 1)
    assert [permit.run_id for permit in settle(made)] == ["run-1"]
    asked(made, 2)
    assert settle(made) == []
    assert made.awaited() == {"run-0"}
    made.pass_over({"run-0"})
    assert [permit.run_id for permit in settle(made)] == ["run-2"]
    made.release("run-1")
    assert made.awaited() == set()
    asked(made, 0)
    assert [permit.run_id for permit in settle(made)] == ["run-0"]


def test_the_first_of_those_passed_over_stay_so_in_the_next_run() -> None:
    made = new_permits(waiting=MAX_SILENT + 2)
    for number in range(MAX_SILENT + 1):
        made.pass_over({f"run-{number}"})
    after = Permits(made.state())
    assert [run.run_id for run in after.silent()] == [f"run-{n}" for n in range(MAX_SILENT)]
    assert told(after) == [f"run-{MAX_SILENT}"]
    asked(after, 0)
    assert [permit.run_id for permit in settle(after)] == ["run-0"]


def test_with_two_places_the_second_need_not_wait_for_the_first() -> None:
    made = new_permits(limit=2, waiting=3)
    asked(made, 1)
    assert [permit.run_id for permit in settle(made)] == ["run-1"]


def test_who_asks_is_not_passed_over_with_the_silent_one_before_it() -> None:
    made = new_permits(limit=2, waiting=2)
    asked(made, 1)
    made.pass_over({"run-0", "run-1"})
    assert [permit.run_id for permit in settle(made)] == ["run-1"]


def test_nobody_is_passed_over_who_has_no_place_to_take() -> None:
    made = new_permits(waiting=2)
    asked(made, 0)
    settle(made)
    assert made.awaited() == set()
    made.pass_over({"run-1"})
    assert told(made) == ["run-1"]


def test_no_more_are_next_than_the_server_lets_ask_at_once() -> None:
    made = new_permits(limit=100, waiting=50)
    assert told(made) == [f"run-{number}" for number in range(MAX_ON_DECK)]
    asked(made, *range(MAX_ON_DECK))
    assert len(settle(made)) == MAX_ON_DECK
    assert len(told(made)) == MAX_ON_DECK


def test_what_is_being_cleared_keeps_its_place_and_has_no_permit() -> None:
    made = new_permits(waiting=2)
    [mine] = asked(made, 0)
    settle(made)
    made.drain("run-0", START)
    assert made.permit_for(mine) is None
    asked(made, 1)
    assert settle(made) == []
    made.release("run-0")
    assert [permit.run_id for permit in settle(made)] == ["run-1"]


def test_who_holds_for_longer_than_it_may_is_overdue_unless_it_is_cleared_already() -> None:
    made = new_permits(limit=2, waiting=2)
    asked(made, 0, 1)
    settle(made)
    limit = START + timedelta(seconds=60)
    assert made.overdue(limit) == []
    late = limit + timedelta(seconds=1)
    assert [run.run_id for run in made.overdue(late)] == ["run-0", "run-1"]
    made.drain("run-1", START)
    assert [run.run_id for run in made.overdue(late)] == ["run-0"]


def test_what_a_run_had_asked_for_is_known_while_it_holds_or_waits() -> None:
    made = new_permits(waiting=2)
    asked(made, 0)
    settle(made)
    assert made.request_of("run-0") == request(0)
    assert made.request_of("run-1") == request(1)
    assert made.request_of("run-2") is None


def test_carried_over_it_is_the_same() -> None:
    made = new_permits(limit=2, waiting=6)
    asked(made, 0, 1)
    settle(made)
    made.drain("run-0", START)
    again = Permits(made.state())
    assert again.state() == made.state()
    assert again.heard("run-1") == (0, 1, 1)
    assert told(again) == ["run-2", "run-3"]
