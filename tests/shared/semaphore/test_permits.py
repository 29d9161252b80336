"""Permits, one event after the other: a run waits, holds or drains, and is never two of these."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.semaphore.messages import Closed, Release, SemaphoreSettings, SlotRequest
from shared.semaphore.queue import NEAR, Permits, turn
from shared.semaphore.state import Ended, SemaphoreState

START = datetime(2026, 1, 1, tzinfo=UTC)

KILLED = Ended(closed=Closed.TERMINATED, granted=True)


def request(number: int, *, priority: int = 3) -> SlotRequest:
    return SlotRequest(
        job_id=f"job-{number}",
        run_id=f"run-{number}",
        priority=priority,
        requested_at=START + timedelta(seconds=number),
    )


def new_permits(*, waiting: int = 0, limit: int = 1, capacity: int = 100) -> Permits:
    state = SemaphoreState(settings=SemaphoreSettings(limit=limit), next_token=100)
    made = Permits(state, "image", capacity=capacity)
    for number in range(waiting):
        assert made.request(request(number), START)
    return made


def test_a_request_of_another_time_is_dropped() -> None:
    made = new_permits()
    for now in (START - NEAR - timedelta(days=1), START + NEAR + timedelta(days=1)):
        assert made.request(request(0), now)
        assert not made.knows("run-0")


def test_a_full_queue_takes_runs_that_it_knows_and_no_other_one() -> None:
    made = new_permits(waiting=2, capacity=2)
    assert made.request(request(0), START)
    assert not made.request(request(2), START)
    assert made.view().is_full
    made.grant(START)
    assert made.request(request(2), START)
    assert made.view().waiting_count == 2


def test_a_release_counts_for_its_run_and_token_and_not_while_it_drains() -> None:
    made = new_permits(waiting=2)
    token = made.grant(START).token
    for run_id, number in (("run-0", token + 1), ("run-0", token - 1), ("run-1", token)):
        assert not made.returned(Release(run_id=run_id, token=number))
    assert made.returned(Release(run_id="run-0", token=token))
    made.drain("run-0", KILLED, START)
    assert not made.returned(Release(run_id="run-0", token=token))


class AnyOrder(RuleBasedStateMachine):
    """Any order of requests, grants, drains, ends and changes."""

    @initialize()
    def begin(self) -> None:
        self.permits = new_permits()
        self.count = 0
        self.requests: dict[str, SlotRequest] = {}
        self.waiting: set[str] = set()
        self.held: dict[str, int] = {}
        self.latest = 0

    @rule(priority=st.integers(1, 5), times=st.integers(1, 2))
    def request(self, priority: int, times: int) -> None:
        self.count += 1
        wanted = request(self.count, priority=priority)
        for _ in range(times):
            assert self.permits.request(wanted, START)
        self.requests[wanted.run_id] = wanted
        self.waiting.add(wanted.run_id)

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def withdraw_or_repeat(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(sorted(self.waiting | set(self.held)) or ["none"]))
        if run_id in self.held:
            self.permits.request(self.requests[run_id], START)
        self.permits.withdraw(run_id)
        self.waiting.discard(run_id)

    @rule()
    def grant(self) -> None:
        settings = self.permits.settings
        has_room = len(self.held) < settings.limit and not settings.paused
        assert self.permits.can_grant() == (has_room and bool(self.waiting))
        if self.permits.can_grant():
            holder = self.permits.grant(START)
            first = min((self.requests[run_id] for run_id in self.waiting), key=turn)
            assert holder.request == first
            assert holder.token > self.latest
            self.latest = holder.token
            self.held[first.run_id] = holder.token
            self.waiting.remove(first.run_id)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), drains=st.booleans())
    def end(self, data: st.DataObject, drains: bool) -> None:
        run_id = data.draw(st.sampled_from(sorted(self.held)))
        if drains:
            assert self.permits.drain(run_id, KILLED, START).drains_since == START
        else:
            assert self.permits.release(run_id)
            assert not self.permits.release(run_id)
            del self.held[run_id]

    @rule(limit=st.integers(1, 3), paused=st.booleans())
    def change(self, limit: int, paused: bool) -> None:
        self.permits.settings = SemaphoreSettings(limit=limit, paused=paused)

    @rule()
    def carry_over(self) -> None:
        state = self.permits.state()
        self.permits = Permits(state, "image", capacity=100)
        assert self.permits.state() == state

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        assert {run: each.token for run, each in self.permits.held.items()} == self.held
        assert {each.run_id for each in self.permits.queue} == self.waiting
        view = self.permits.view()
        assert [each.token for each in view.holders] == list(self.held.values())
        assert view.waiting_count == len(self.waiting)


TestAnyOrder = AnyOrder.TestCase
