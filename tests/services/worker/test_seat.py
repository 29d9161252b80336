"""A run's side of the slot, between one permit and the next."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from temporalio import workflow

from services.worker.seat import Seat
from shared.slots import Permit, RunRef

BEFORE = RunRef(job_id="before", run_id="run-0")


@pytest.fixture
def seat(monkeypatch: pytest.MonkeyPatch) -> Seat:
    info = SimpleNamespace(workflow_id="job", run_id="run", workflow_start_time=datetime.now(UTC))
    monkeypatch.setattr(workflow, "info", lambda: info)
    return Seat(3)


def permit(token: int, *, armed: bool, number: int = 0) -> Permit:
    after = BEFORE if armed else None
    return Permit(job_id="job", run_id="run", token=token, round=number, after=after)


def test_an_armed_permit_is_ours_when_it_has_begun(seat: Seat) -> None:
    seat.offer(permit(1, armed=True))
    assert not seat.is_ours()
    seat.begun = True
    assert seat.is_ours()


def test_what_was_begun_under_one_token_is_not_begun_under_the_next(seat: Seat) -> None:
    """After a reset the run replays what another run had begun."""
    seat.offer(permit(1, armed=True))
    seat.begun = True
    seat.offer(permit(2, armed=True))
    assert not seat.is_ours()


def test_a_new_round_of_the_same_token_leaves_begun_what_is(seat: Seat) -> None:
    seat.offer(permit(1, armed=True))
    seat.begun = True
    seat.offer(permit(1, armed=False, number=1))
    assert seat.begun
    assert seat.is_ours()


def test_an_older_permit_changes_nothing(seat: Seat) -> None:
    seat.offer(permit(2, armed=False))
    seat.offer(permit(1, armed=True))
    seat.offer(permit(2, armed=True))
    assert seat.permit == permit(2, armed=False)
