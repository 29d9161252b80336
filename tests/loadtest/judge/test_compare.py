"""Two runs of one plan are within noise; a slower vendor is not; other machines get no verdict."""

from pathlib import Path

import pytest

from loadtest.books import raw
from loadtest.judge.compare import FEW, SLOWER, WITHIN, Comparison, compare, interval
from loadtest.judge.judge import judge
from loadtest.run.plan import Options
from tests.loadtest import synthetic_job
from tests.loadtest.synthetic import Synthetic


def compared(tmp_path: Path, *, stages: str = "20", cores: int = 2) -> Comparison:
    a = Synthetic(tmp_path, plan=Options(stages=stages, seed="7").plan(), run_id="a").write()
    b = Synthetic(tmp_path, plan=Options(stages=stages, seed="8").plan(), run_id="b").write()
    run = b.folder.read(raw.RUN)
    run["environment"]["cores"] = cores
    b.folder.write(raw.RUN, run)
    return compare(judge(a.folder), judge(b.folder))


def test_two_runs_of_one_plan_are_within_noise(tmp_path: Path) -> None:
    found = compared(tmp_path)

    assert found.why_not == []
    assert found.verdict == WITHIN
    assert {quantity.verdict for quantity in found.quantities} == {WITHIN}


def test_a_slower_vendor_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a = Synthetic(tmp_path, plan=Options(stages="20", seed="7").plan(), run_id="a").write()
    monkeypatch.setattr(synthetic_job, "VIDEO", 0.9)
    b = Synthetic(tmp_path, plan=Options(stages="20", seed="7").plan(), run_id="b").write()

    found = compare(judge(a.folder), judge(b.folder))

    slower = {quantity.name for quantity in found.quantities if quantity.verdict == SLOWER}
    assert slower == {"vendors' service time", "time on the slot"}
    assert "slower" in found.verdict


def test_another_machine_gets_numbers_and_no_verdict(tmp_path: Path) -> None:
    found = compared(tmp_path, cores=64)

    assert found.why_not == ["another machine: cores"]
    assert found.verdict == "numbers only"
    assert found.quantities


def test_few_jobs_tell_nothing(tmp_path: Path) -> None:
    verdicts = {q.name: q.verdict for q in compared(tmp_path, stages="3").quantities}

    assert verdicts["vendors' service time"] == FEW


def test_the_interval_covers_the_true_change() -> None:
    a = [float(n % 10) for n in range(200)]
    low, high = interval(sorted(a), sorted(value + 5 for value in a))

    assert low <= 5 <= high
    assert low > 0
