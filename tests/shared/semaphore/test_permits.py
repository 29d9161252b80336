"""Permits, one event after the other: a run waits, holds or drains, and is never two of these."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.semaphore.messages import Closed, SemaphoreSettings, SlotRequest
from shared.semaphore.state import AGEING_SECONDS, NEAR, Ended, Permits, SemaphoreState

START = datetime(2026, 1, 1, tzinfo=UTC)
KILLED = Ended(closed=Closed.TERMINATED, grace=None)


def request(run: int | str, *, after: float = 0, priority: int = 3) -> SlotRequest:
    return SlotRequest(
        job_id=f"job-{run}",
        run_id=f"run-{run}",
        priority=priority,
        requested_at=START + timedelta(seconds=after),
    )


def permits(*waiting: SlotRequest) -> Permits:
    made = Permits(SemaphoreState(next_token=100), capacity=100)
    for each in waiting:
        assert made.request(each, START)
    return made


@pytest.mark.parametrize(
    ("requests", "order"),
    [
        # First come, first served inside a priority; equal times have an order of their own.
        ([request(1, after=5), request(2, after=3), request(3, after=4)], ["2", "3", "1"]),
        ([request(2), request(1)], ["1", "2"]),
        ([request("low", priority=5), request("high", after=9, priority=1)], ["high", "low"]),
        # Waiting raises a low priority above newcomers.
        (
            [
                request("low", priority=5),
                request("late", after=4 * AGEING_SECONDS + 1, priority=1),
                request("new", after=4 * AGEING_SECONDS - 1, priority=1),
            ],
            ["new", "low", "late"],
        ),
        # A run is in the queue once, with its first request; its job's next run is another one.
        ([request(1, after=1), request(2, after=2), request(1, after=3)], ["1", "2"]),
        ([request(1), request(1).model_copy(update={"run_id": "run-1b"})], ["1", "1"]),
    ],
)
def test_order_of_the_queue(requests: list[SlotRequest], order: list[str]) -> None:
    made = permits(*requests)
    assert [each.job_id.removeprefix("job-") for each in made.queue()] == order
    assert [made.grant(START).request.job_id for _ in order] == [f"job-{each}" for each in order]


def test_request_with_an_impossible_time_is_dropped() -> None:
    made = permits()
    for now in (START - NEAR - timedelta(days=1), START + NEAR + timedelta(days=1)):
        assert made.request(request(0), now)
        assert not made.knows("run-0")


class AnyOrder(RuleBasedStateMachine):
    """Any order of requests, grants, drains, ends and changes, beside a list that is sorted again
    each time."""

    @initialize()
    def begin(self) -> None:
        self.permits = permits()
        self.count = 0
        self.waiting: dict[str, SlotRequest] = {}
        self.held: dict[str, int] = {}
        self.latest = 0

    def in_order(self) -> list[SlotRequest]:
        def turn(each: SlotRequest) -> tuple[datetime, str]:
            return each.requested_at + timedelta(minutes=10 * each.priority), each.run_id

        return sorted(self.waiting.values(), key=turn)

    @rule(after=st.integers(0, 3000), priority=st.integers(1, 5), times=st.integers(1, 2))
    def request(self, after: int, priority: int, times: int) -> None:
        self.count += 1
        wanted = request(self.count, after=after, priority=priority)
        for _ in range(times):
            assert self.permits.request(wanted, START)
        self.waiting[wanted.run_id] = wanted

    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from([*self.waiting, *self.held, "none"]))
        self.permits.withdraw(run_id)
        self.waiting.pop(run_id, None)

    @rule()
    def grant(self) -> None:
        settings = self.permits.settings
        has_room = len(self.held) < settings.limit and not settings.paused
        assert self.permits.can_grant() == (has_room and bool(self.waiting))
        if self.permits.can_grant():
            holder, first = self.permits.grant(START), self.in_order()[0]
            assert holder.request == first
            assert holder.token > self.latest
            self.latest = self.held[first.run_id] = holder.token
            del self.waiting[first.run_id]
            # A holder that requests once more does not wait.
            self.permits.request(first, START)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), drains=st.booleans())
    def end(self, data: st.DataObject, drains: bool) -> None:
        run_id = data.draw(st.sampled_from(sorted(self.held)))
        if drains:
            assert self.permits.drain(run_id, KILLED, START).drains_since == START
        else:
            del self.permits.held[run_id]
            del self.held[run_id]

    @rule(limit=st.integers(1, 3), paused=st.booleans())
    def change(self, limit: int, paused: bool) -> None:
        self.permits.settings = SemaphoreSettings(limit=limit, paused=paused)

    @rule()
    def carry_over(self) -> None:
        state = self.permits.state()
        self.permits = Permits(state, capacity=100)
        assert self.permits.state() == state

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        assert {run: each.token for run, each in self.permits.held.items()} == self.held
        assert list(self.permits.queue()) == self.in_order()
        view = self.permits.view()
        assert [each.token for each in view.holders] == list(self.held.values())
        assert view.waiting == tuple(each.job_id for each in self.in_order())
        assert view.waiting_count == len(self.waiting)


TestAnyOrder = AnyOrder.TestCase
