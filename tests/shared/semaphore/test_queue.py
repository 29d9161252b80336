"""WaitingQueue against a naive list that is sorted anew each time."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.semaphore.messages import SlotRequest
from shared.semaphore.queue import AGEING_SECONDS, WaitingQueue

START = datetime(2026, 1, 1, tzinfo=UTC)


def request(run: int | str, *, after: float = 0, priority: int = 3) -> SlotRequest:
    return SlotRequest(
        job_id=f"job-{run}",
        run_id=f"run-{run}",
        priority=priority,
        requested_at=START + timedelta(seconds=after),
    )


def jobs(queue: WaitingQueue) -> list[str]:
    return [each.job_id for each in queue]


def test_first_come_first_served_inside_a_priority() -> None:
    queue = WaitingQueue()
    for run, after in ((1, 5), (2, 3), (3, 4)):
        queue.add(request(run, after=after))
    assert jobs(queue) == ["job-2", "job-3", "job-1"]


def test_a_higher_priority_goes_first() -> None:
    queue = WaitingQueue((request("low", priority=5), request("high", after=9, priority=1)))
    assert jobs(queue) == ["job-high", "job-low"]


def test_waiting_raises_a_low_priority_above_newcomers() -> None:
    low = request("low", priority=5)
    almost = request("new", after=4 * AGEING_SECONDS - 1, priority=1)
    late = request("late", after=4 * AGEING_SECONDS + 1, priority=1)
    assert jobs(WaitingQueue((low, late, almost))) == ["job-new", "job-low", "job-late"]


def test_a_run_stands_in_the_queue_once() -> None:
    queue = WaitingQueue()
    for after in (0, 1, 2):
        queue.add(request(1, after=after))
    assert len(queue) == 1
    [first] = queue
    assert first.requested_at == START
    queue.remove("run-1")
    assert "run-1" not in queue


def test_the_second_run_of_a_job_is_another_request() -> None:
    first = request(1)
    second = first.model_copy(update={"run_id": "run-1b"})
    assert len(WaitingQueue((first, second))) == 2


def test_equal_times_keep_an_order_that_does_not_depend_on_arrival() -> None:
    one, two = request(1), request(2)
    assert jobs(WaitingQueue((one, two))) == jobs(WaitingQueue((two, one)))


def test_who_is_not_there_is_removed_without_a_word() -> None:
    queue = WaitingQueue((request(1),))
    queue.remove("run-2")
    assert jobs(queue) == ["job-1"]


def test_first_shows_no_more_than_asked_for() -> None:
    queue = WaitingQueue(tuple(request(n, after=n) for n in range(5)))
    assert queue.first(2) == ("job-0", "job-1")
    assert queue.first(9) == tuple(f"job-{n}" for n in range(5))


runs = st.integers(0, 9)
adding = st.tuples(st.just("add"), runs, st.integers(0, 3000), st.integers(1, 5))
removing = st.tuples(st.just("remove"), runs, st.just(0), st.just(0))


@given(st.lists(st.one_of(adding, adding, removing), max_size=60))
def test_like_a_list_that_is_sorted_each_time(moves: list[tuple[str, int, int, int]]) -> None:
    queue = WaitingQueue()
    naive: dict[str, SlotRequest] = {}

    def in_order() -> list[SlotRequest]:
        def turn(each: SlotRequest) -> tuple[float, str]:
            waited_from = each.requested_at + timedelta(seconds=each.priority * AGEING_SECONDS)
            return waited_from.timestamp(), each.run_id

        return sorted(naive.values(), key=turn)

    for what, run, after, priority in moves:
        if what == "add":
            wanted = request(run, after=after, priority=priority)
            queue.add(wanted)
            naive.setdefault(wanted.run_id, wanted)
        else:
            queue.remove(f"run-{run}")
            naive.pop(f"run-{run}", None)
        assert list(queue) == in_order()
        assert len(queue) == len(naive)
        assert all((f"run-{n}" in queue) == (f"run-{n}" in naive) for n in range(10))


@given(st.lists(st.builds(request, runs, after=st.integers(0, 9), priority=st.integers(1, 5))))
def test_carried_over_it_is_the_same_queue(requests: list[SlotRequest]) -> None:
    queue = WaitingQueue(tuple(requests))
    assert list(WaitingQueue(tuple(queue))) == list(queue)
