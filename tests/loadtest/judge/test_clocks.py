"""Clocks that differ neither hide an overlap nor make one; what they leave open is not decided."""

from pathlib import Path

import pytest

from loadtest.books import raw
from loadtest.judge.clocks import offsets
from loadtest.judge.judge import Judgement, judge
from tests.loadtest.forging.families.clocks import skew, touch
from tests.loadtest.forging.kit import Forger, Row
from tests.loadtest.forging.recorded import PLAIN, unpack
from tests.loadtest.judge.named import named


@pytest.fixture
def run(tmp_path: Path) -> Forger:
    return Forger(unpack(PLAIN, tmp_path / "as it was"), tmp_path / "run", seed=1)


def judged(run: Forger) -> Judgement:
    run.seal()
    return judge(run.folder)


def undecided(judgement: Judgement) -> bool:
    return any(check.ok is None and "clocks decide" in check.name for check in judgement.checks)


def known_to(run: Forger, seconds: float) -> None:
    """The way of each request left so much open to either side."""

    def blur(row: Row) -> None:
        row["sent_at"] -= seconds
        row["answered_at"] += seconds

    run.each(raw.CLOCKS, blur)


@pytest.mark.parametrize("seconds", [0.05, -0.05, 0.2, -0.2])
@pytest.mark.parametrize("service", ["image", "video"])
def test_an_innocent_pair_is_not_convicted(run: Forger, service: str, seconds: float) -> None:
    skew(run, service, seconds)

    judgement = judged(run)

    assert judgement.reasons == []
    assert offsets(judgement.books)[service].low == pytest.approx(seconds, abs=0.02)


@pytest.mark.parametrize("seconds", [0.0, 0.05, -0.05])
def test_an_overlap_is_seen_through_the_clocks(run: Forger, seconds: float) -> None:
    _, after = touch(run, overlap=0.03)
    skew(run, "image", seconds)

    judgement = judged(run)

    assert named(judgement, "overlap") == [after]
    assert not undecided(judgement)


def test_what_the_clocks_leave_open_is_not_decided(run: Forger) -> None:
    touch(run, overlap=0.03)
    known_to(run, 0.05)

    judgement = judged(run)

    assert named(judgement, "overlap") == []
    assert undecided(judgement)


def test_an_overlap_that_is_longer_is_decided(run: Forger) -> None:
    _, after = touch(run, overlap=0.12)
    known_to(run, 0.05)

    assert named(judged(run), "overlap") == [after]


def test_without_doubt_all_is_decided(run: Forger) -> None:
    assert not undecided(judged(run))
