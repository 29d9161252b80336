"""States: an end is never left, and every other state leads to one."""

import pytest

from shared.jobs.states import ALLOWED, END_STATES, RETRYABLE_STATES, Status, may_follow


@pytest.mark.parametrize("end", sorted(END_STATES))
def test_an_end_is_never_left(end: Status) -> None:
    assert end.ended
    # What a vendor had accepted may be added behind it.
    assert [after for after in Status if may_follow(end, after)] == [end]


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_an_open_state_leads_to_an_end(status: Status) -> None:
    assert not status.ended
    assert ALLOWED[status] & END_STATES
    assert may_follow(status, status)


def test_every_state_is_decided_and_success_is_not_run_again() -> None:
    assert set(ALLOWED) == set(Status)
    assert END_STATES - {Status.SUCCEEDED} == RETRYABLE_STATES
    assert not may_follow(Status.QUEUED, Status.SUCCEEDED)
