"""A run's figures from its books alone."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.books.load import load
from loadtest.run.plan import Options
from tests.bench.pipeline.handover import RunTimes, figures, of_books
from tests.bench.pipeline.split import BETWEEN, IDLE
from tests.loadtest.synthetic import Synthetic

JOBS = 30


@pytest.fixture
def run(tmp_path: Path) -> Synthetic:
    return Synthetic(tmp_path, plan=Options(stages=str(JOBS), seed="7").plan()).write()


def test_every_pair_is_measured(run: Synthetic) -> None:
    """The synthetic run closes 0.03 s after each video, and begins the next job 0.04 s later."""
    found = of_books(load(run.folder), [0.01, 0.02, 0.04])

    assert found.hop == 0.02
    assert len(found.hand_overs) == len(found.idles) == JOBS - 1
    assert all(math.isclose(each, 0.04, abs_tol=1e-4) for each in found.hand_overs)
    assert all(math.isclose(sum(each.values()), 0.07, abs_tol=1e-4) for each in found.idles)
    assert len(found.betweens) == JOBS
    assert 1 < found.makespan_ratio < 1.2


def shifted(run: RunTimes, part: str, seconds: float) -> RunTimes:
    """The same run with more time in one part of each idle."""
    idles = tuple({**each, part: each[part] + seconds} for each in run.idles)
    return replace(run, idles=idles)


def test_the_parts_of_the_table_add_up_over_runs_that_differ(run: Synthetic) -> None:
    found = of_books(load(run.folder), [0.02])
    runs = [found, shifted(found, "hand-over", 0.5), shifted(found, "signal", 0.3)]
    lines = {figure.name: figure for figure in figures(runs)}

    for whole, parts, what in (
        ("idle of the vendor, mean", IDLE, "idle"),
        ("image's end to video accepted, mean", BETWEEN, "image to video"),
    ):
        total = sum(lines[f"{what}: {part}, mean"].value for part in parts)
        assert math.isclose(lines[whole].value, total, abs_tol=0.05)
    assert lines["hand-over, p50"].value == pytest.approx(40, abs=0.1)
    assert lines["hand-over, p50"].in_hops == pytest.approx(2, abs=0.01)


def test_a_single_job_hands_nothing_over(tmp_path: Path) -> None:
    alone = Synthetic(tmp_path, plan=Options(stages="1", seed="7").plan()).write()

    with pytest.raises(RuntimeError, match="no job that followed"):
        of_books(load(alone.folder), [0.02])
