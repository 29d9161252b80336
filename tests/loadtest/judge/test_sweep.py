"""The sweep line against counting by hand."""

from hypothesis import given
from hypothesis import strategies as st

from loadtest.judge.intervals import Interval, sweep

SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=25)


def intervals(spans: list[tuple[int, int]]) -> list[Interval]:
    return [Interval(str(n), b, b + length) for n, (b, length) in enumerate(spans)]


@given(SPANS, st.integers(1, 4))
def test_the_most_at_once_is_what_counting_every_instant_gives(
    spans: list[tuple[int, int]], limit: int
) -> None:
    counted = max((sum(b <= at < b + length for b, length in spans) for at in range(41)), default=0)

    found = sweep(intervals(spans), limit)

    assert found.most == counted
    assert (found.violation is not None) == (counted > limit)


@given(SPANS)
def test_the_violating_pair_really_overlaps(spans: list[tuple[int, int]]) -> None:
    found = sweep(intervals(spans), 1).violation
    if found is None:
        return
    (b1, l1), (b2, l2) = spans[int(found.first)], spans[int(found.second)]

    assert max(b1, b2) == found.begin
    assert found.begin < found.end <= min(b1 + l1, b2 + l2)


def test_an_end_at_a_start_is_no_overlap() -> None:
    assert sweep([Interval("a", 0, 1), Interval("b", 1, 2)], 1).violations == 0


def test_nothing_has_no_most() -> None:
    found = sweep([], 1)

    assert (found.most, found.at, found.violation) == (0, None, None)
