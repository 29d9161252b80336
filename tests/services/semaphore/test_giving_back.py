"""Permits of a stage's gate: what is given back counts once, and is granted to the next."""

import pytest

from services.semaphore.deterministic.permits import Permits
from services.semaphore.models import SemaphoreState
from shared.slot.messages import Gate, Release, SemaphoreSettings
from tests.services.semaphore.asking import START, ask, asked, request, settle


def new_permits(*, waiting: int, limit: int = 1) -> Permits:
    state = SemaphoreState(settings=SemaphoreSettings(limit=limit), next_token=100)
    made = Permits(state, Gate.IMAGE)
    for number in range(waiting):
        made.request(request(number))
    return made


def test_a_permit_names_its_gate() -> None:
    made = new_permits(waiting=3, limit=2)
    mine = asked(made, 0, 1)
    permits = settle(made)
    assert [(each.run_id, each.gate) for each in permits] == [
        ("run-0", "image"),
        ("run-1", "image"),
    ]
    assert [made.permit_for(each) for each in mine] == permits


def test_what_is_given_back_is_granted_to_the_next() -> None:
    made = new_permits(waiting=2)
    asked(made, 0)
    [first] = settle(made)
    release = Release(run_id="run-0", token=first.token)
    assert made.give_back(release)
    asked(made, 1)
    [second] = settle(made)
    assert second.run_id == "run-1"
    assert second.token > first.token
    assert not made.give_back(release)
    assert list(made.held) == ["run-1"]


@pytest.mark.parametrize(("run_id", "off"), [("run-0", 1), ("run-0", -1), ("run-1", 0)])
def test_another_run_or_token_gives_nothing_back(run_id: str, off: int) -> None:
    made = new_permits(waiting=2)
    asked(made, 0)
    [first] = settle(made)
    assert not made.give_back(Release(run_id=run_id, token=first.token + off))
    assert list(made.held) == ["run-0"]


def test_what_is_being_cleared_is_not_given_back() -> None:
    """The run is gone: a word of its own that comes late doesn't shorten the clearing."""
    made = new_permits(waiting=2)
    asked(made, 0, 1)
    [first] = settle(made)
    made.drain("run-0", START)
    assert not made.give_back(Release(run_id="run-0", token=first.token))
    assert settle(made) == []
    made.release("run-0")
    assert [each.run_id for each in settle(made)] == ["run-1"]


def test_who_has_given_back_may_ask_again_by_a_try_of_any_number() -> None:
    made = new_permits(waiting=1)
    made.ask(ask(0, tries=7))
    [first] = settle(made)
    made.give_back(Release(run_id="run-0", token=first.token))
    made.request(request(0))
    [mine] = asked(made, 0)
    [again] = settle(made)
    assert again.token > first.token
    assert made.permit_for(mine) == again


def test_a_full_queue_takes_whom_it_knows_and_nobody_else() -> None:
    made = Permits(SemaphoreState(), capacity=2)
    assert all(made.request(request(number)) for number in range(2))
    assert made.request(request(0))
    assert not made.request(request(2))
    assert made.view().is_full
    asked(made, 0)
    settle(made)
    assert made.request(request(2))
    assert made.view().waiting_count == 2
