"""An honest run passes, and what makes a run fail as a whole."""

from pathlib import Path

import pytest

from loadtest.books import raw
from loadtest.judge.judge import judge
from loadtest.run.plan import Options
from tests.loadtest.judge.named import named
from tests.loadtest.synthetic import Synthetic, job_id
from tests.loadtest.synthetic_job import Row


def test_an_honest_run_passes(honest: Synthetic) -> None:
    judgement = judge(honest.folder)

    assert judgement.reasons == []
    assert judgement.passed
    assert judgement.findings == []
    assert judgement.headline == "PASS: 6 of 6 jobs succeeded, at most 1 at once"


@pytest.mark.parametrize(
    ("step", "end", "accused"),
    [("image", ", ink", False), ("image", "0, ink", True), ("video", ", ink", True)],
)
def test_over_a_comfyuis_own_wire_the_style_stands_behind_the_prompt(
    honest: Synthetic, step: str, end: str, *, accused: bool
) -> None:
    def merge(rows: list[Row]) -> None:
        rows[0]["prompt"] += end

    honest.edit(raw.LEDGERS[step], merge)

    assert [each.kind for each in judge(honest.folder).findings] == ["file"] * accused


def test_a_verdict_of_the_mocks_that_differs_fails_the_run(honest: Synthetic) -> None:
    vendors = honest.folder.read(raw.VENDORS)
    vendors["video"]["verdict"]["charged_twice"] = [f"{job_id(1, 1)}.video.1", "job-other.video.1"]
    honest.replace(raw.VENDORS, vendors)

    [reason] = judge(honest.folder).reasons

    assert "the mocks' own verdict on charges agrees" in reason
    assert "job-other" not in reason


def test_forgotten_faults_are_said_and_fail_nothing(honest: Synthetic) -> None:
    vendors = honest.folder.read(raw.VENDORS)
    vendors["video"] |= {"faults_recorded": 9, "faults_remembered": 5}
    honest.replace(raw.VENDORS, vendors)
    judgement = judge(honest.folder)

    assert judgement.passed
    assert "4 of them forgotten" in str(judgement.checks)


def test_a_book_that_could_not_be_read_fails_the_run(honest: Synthetic) -> None:
    run = honest.folder.read(raw.RUN)
    honest.replace(raw.RUN, {**run, "unread": ["receipts: connection refused"]})

    judgement = judge(honest.folder)

    assert any("every book could be read" in reason for reason in judgement.reasons)


def test_no_jobs_is_a_failure(tmp_path: Path) -> None:
    empty = Synthetic(tmp_path, plan=Options(stages="1", seed="7").plan())
    empty.plan = empty.plan.model_copy(update={"stages": ()})

    judgement = judge(empty.write().folder)

    assert not judgement.passed
    assert any("there are jobs" in reason for reason in judgement.reasons)


def test_without_mocks_the_vendors_say_nothing(tmp_path: Path) -> None:
    plan = Options(stages="3", seed="7").plan(mocked=False)
    judgement = judge(Synthetic(tmp_path, plan=plan, mocks=False).write().folder)

    assert judgement.passed, judgement.reasons
    assert judgement.stages[0].metrics["charged_twice"] is None


def test_without_mocks_an_end_that_nobody_received_is_named(tmp_path: Path) -> None:
    plan = Options(stages="3", seed="7").plan(mocked=False)
    run = Synthetic(tmp_path, plan=plan, mocks=False).write()
    run.edit(raw.RECEIPTS, lambda rows: rows.pop())

    assert named(judge(run.folder), "callback") == [job_id(0, 2)]


def test_a_threshold_that_was_asked_for_must_be_measured(tmp_path: Path) -> None:
    plan = Options(stages="3", seed="7", thresholds=("handover_p95<60s",)).plan()
    judgement = judge(Synthetic(tmp_path, plan=plan).write().folder)

    assert judgement.reasons == ["handover_p95<60: could not be measured"]


@pytest.mark.parametrize(("text", "holds"), [("max<10s", True), ("max<1s", False)])
def test_a_threshold_decides(tmp_path: Path, text: str, holds: bool) -> None:
    plan = Options(stages="3", seed="7", thresholds=(text,)).plan()

    assert judge(Synthetic(tmp_path, plan=plan).write().folder).passed is holds
