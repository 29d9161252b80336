"""Who had the slot when, how many at once, and as far as the clocks can tell."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.books import raw
from loadtest.judge.clocks import clocks
from loadtest.judge.intervals import Interval, sweep
from loadtest.judge.judge import Judgement, judge
from tests.loadtest.forging.families.plan import skew, touch
from tests.loadtest.forging.kit import Forger, Row
from tests.loadtest.forging.recorded import PLAIN, unpack
from tests.loadtest.synthetic import named

SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=25)


def intervals(spans: list[tuple[int, int]]) -> list[Interval]:
    return [Interval(str(n), b, b + length) for n, (b, length) in enumerate(spans)]


@given(SPANS, st.integers(1, 4))
def test_most_at_once_equals_a_count_at_every_instant(
    spans: list[tuple[int, int]], limit: int
) -> None:
    counted = max((sum(b <= at < b + length for b, length in spans) for at in range(41)), default=0)

    found = sweep(intervals(spans), limit)

    assert found.most == counted
    assert (found.violations > 0) == (counted > limit)


@given(SPANS)
def test_the_violating_pair_really_overlaps(spans: list[tuple[int, int]]) -> None:
    for found in sweep(intervals(spans), 1).pairs:
        (b1, l1), (b2, l2) = spans[int(found.first)], spans[int(found.second)]

        assert max(b1, b2) == found.begin
        assert found.begin < found.end <= min(b1 + l1, b2 + l2)


def test_end_at_a_start_is_no_overlap() -> None:
    assert sweep([Interval("a", 0, 1), Interval("b", 1, 2)], 1).violations == 0


def test_most_at_once_of_nothing_is_none() -> None:
    found = sweep([], 1)

    assert (found.most, found.at, found.pairs) == (0, None, ())


@pytest.fixture
def run(tmp_path: Path) -> Forger:
    return Forger(unpack(PLAIN, tmp_path / "as it was"), tmp_path / "run", seed=1)


def judged(run: Forger) -> Judgement:
    run.seal()
    return judge(run.folder)


def undecided(judgement: Judgement) -> bool:
    return any("clocks are not known" in text for text in judgement.undecided)


def known_to(run: Forger, seconds: float) -> None:
    """The way of each request left so much open to either side."""

    def blur(row: Row) -> None:
        row["sent_at"] -= seconds
        row["answered_at"] += seconds

    run.each(raw.CLOCKS, blur)


@pytest.mark.parametrize("seconds", [0.05, -0.05, 0.2, -0.2])
@pytest.mark.parametrize("service", ["image", "video"])
def test_innocent_pair_is_not_convicted(run: Forger, service: str, seconds: float) -> None:
    skew(run, service, seconds)

    judgement = judged(run)

    assert judgement.reasons == []
    assert clocks(judgement.books).offsets[service].low == pytest.approx(seconds, abs=0.02)


@pytest.mark.parametrize("seconds", [0.0, 0.05, -0.05])
def test_overlap_is_found_despite_clock_offsets(run: Forger, seconds: float) -> None:
    _, after = touch(run, overlap=0.03)
    skew(run, "image", seconds)

    judgement = judged(run)

    assert named(judgement, "overlap") == [after]
    assert not undecided(judgement)


def test_overlap_within_the_clock_error_is_not_decided(run: Forger) -> None:
    touch(run, overlap=0.03)
    known_to(run, 0.05)

    judgement = judged(run)

    assert named(judgement, "overlap") == []
    assert undecided(judgement)


def test_longer_overlap_is_decided(run: Forger) -> None:
    _, after = touch(run, overlap=0.12)
    known_to(run, 0.05)

    assert named(judged(run), "overlap") == [after]


def test_exact_clocks_decide_everything(run: Forger) -> None:
    assert not undecided(judged(run))
