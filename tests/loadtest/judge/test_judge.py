"""An honest run passes, and each thing that is bent fails it, by its name."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadtest.books import raw
from loadtest.books.model import STEPS
from loadtest.books.prompts import style
from loadtest.judge.judge import Verdict, judge
from loadtest.run.plan import planned
from tests.loadtest.synthetic import T0, Row, Synthetic, convicted, job_id, named

IMAGE, VIDEO = raw.LEDGERS["image"], raw.LEDGERS["video"]
Bend = Callable[[Synthetic], object]


def made(
    folder: Path, stages: str = "3", *, mocks: tuple[str, ...] = STEPS, **more: Any
) -> Synthetic:
    """A healthy run of these stages, with one job at a time."""
    plan = planned(stages, seed="7", **more, mocks=mocks)
    return Synthetic(folder, plan=plan, mocks=mocks).write()


def rules(run: Synthetic) -> set[str]:
    return {finding.rule for finding in judge(run.folder).findings}


def test_honest_run_passes(honest: Synthetic) -> None:
    judgement = judge(honest.folder)

    assert judgement.reasons == []
    assert judgement.passed
    assert judgement.findings == []
    assert judgement.headline == "PASS: 6 of 6 jobs succeeded, at most 1 at once"


@pytest.mark.parametrize(
    ("step", "end", "accused"),
    [("image", "", False), ("image", "0", True), ("video", "", True)],
)
def test_style_stands_behind_the_prompt_at_a_comfyui(
    honest: Synthetic, step: str, end: str, *, accused: bool
) -> None:
    honest.change(raw.LEDGERS[step], 0, prompt=lambda text: f"{text}{end}, {style(7, 0, 0)}")

    # The picture has other colours then.
    found = [each.rule for each in judge(honest.folder).findings if each.rule != "files.colours"]
    assert found == [f"{step}_ledger.prompt"] * accused


@pytest.mark.parametrize(
    ("change", "accused"),
    [
        (
            {"job_key": "other", "prompt": "other", "source_sha256": None, "source_shows": None},
            set(),
        ),
        ({"source_sha256": "other"}, {"image_ledger.source_sha256"}),
    ],
)
def test_second_stage_of_a_vendor_is_separate_in_its_ledger(
    honest: Synthetic, change: Row, accused: set[str]
) -> None:
    honest.told(raw.RUN, "stages", 1, vendor="image")
    videos = list(honest.folder.rows(VIDEO))
    honest.edit(VIDEO, list.clear)
    honest.add(IMAGE, [videos[0] | change, *videos[1:]])

    fields = ("job_key", "prompt", "source_sha256", "source_shows")
    assert rules(honest) & {f"image_ledger.{field}" for field in fields} == accused


def test_different_verdict_of_the_mocks_fails_the_run(honest: Synthetic) -> None:
    twice = [f"{job_id(1, 1)}.video.1", "job-other.video.1"]
    honest.told(raw.VENDORS, "video", "verdict", charged_twice=twice, ok=False)

    [found] = judge(honest.folder).findings
    assert found.rule == "vendors.video.verdict.charged_twice"
    assert "job-other" not in found.found


@pytest.mark.parametrize(
    ("part", "more", "said"),
    [
        ((), {"faults_recorded": 9, "faults_remembered": 5}, "has forgotten 4 of its faults"),
        (("stats",), {"ledger_dropped": 2}, "dropped 2 rows of its ledger"),
    ],
)
def test_forgotten_generations_are_not_decided(
    honest: Synthetic, part: tuple[str, ...], more: Row, said: str
) -> None:
    injected = more.get("faults_recorded", 0)
    honest.told(raw.VENDORS, "video", "stats", faults_injected=injected)
    honest.told(raw.VENDORS, "video", *part, **more)
    judgement = judge(honest.folder)

    assert judgement.verdict is Verdict.NOT_DECIDED
    assert not judgement.findings
    assert any(said in text for text in judgement.undecided)


def test_clock_step_makes_the_run_void_and_blames_no_job(honest: Synthetic) -> None:
    honest.change(raw.CLOCKS, 1, sent_at=lambda at: at + 3.0)
    honest.change(raw.FILES, 0, sha256="other")
    judgement = judge(honest.folder)

    assert judgement.verdict is Verdict.VOID
    assert judgement.headline.startswith("VOID: the clock stepped by 3")
    assert judgement.findings == []


@pytest.mark.parametrize("again", [True, False])
def test_mock_that_has_forgotten_its_work_makes_the_run_void(
    honest: Synthetic, *, again: bool
) -> None:
    honest.edit(VIDEO, lambda rows: rows.pop(0))
    used = (5.0, 1.0 if again else 6.0)
    samples = [{"at": T0 + n, "name": "mock-kling", "cpu": cpu} for n, cpu in enumerate(used)]
    honest.add(raw.PROCESSES, samples)
    judgement = judge(honest.folder)

    void = "VOID: the video service was started again, and forgot 1 generation(s)"
    assert judgement.headline.startswith(void) == again
    assert bool(judgement.findings) != again


def test_clock_that_runs_faster_than_a_steady_one_is_convicted(honest: Synthetic) -> None:
    for place in range(sum(1 for _ in honest.folder.rows(raw.CLOCKS))):
        honest.change(raw.CLOCKS, place, theirs=lambda ran: ran if ran > T0 / 2 else ran * 0.9)
    judgement = judge(honest.folder)

    assert judgement.verdict is Verdict.FAIL
    assert {each.rule for each in judgement.findings} == {"clocks"}
    assert "ran at 1.11 of the rate" in judgement.findings[0].text


@pytest.mark.parametrize(("apart", "unread"), [(1, True), (4, False)])
def test_slot_was_not_read_unless_the_api_kept_the_runner_waiting(
    tmp_path: Path, *, apart: int, unread: bool
) -> None:
    """The runner reads its clock before each look, and an API that can't answer takes seconds."""
    honest = made(tmp_path, "40")
    first = min(float(row["sent_at"]) for row in honest.folder.rows(raw.CLOCKS))

    def kept(row: Row) -> bool:
        return row["service"] != "runner" or (float(row["sent_at"]) - first) % apart < 1e-3

    honest.edit(raw.CLOCKS, lambda rows: rows.__setitem__(slice(None), filter(kept, rows[:])))
    honest.edit(raw.SLOTS, lambda rows: rows.__delitem__(slice(1, -1)))
    honest.add(raw.PROCESSES, [{"at": first, "name": "semaphore", "cpu": 1.0}])
    judgement = judge(honest.folder)

    assert any("the slot was not read for" in text for text in judgement.undecided) == unread
    assert judgement.passed != unread


def test_loosened_conditions_are_in_the_headline(tmp_path: Path) -> None:
    judgement = judge(made(tmp_path, thresholds=("success_rate>=0.9",)).folder)

    assert judgement.passed
    assert judgement.headline.endswith("; by conditions that were loosened: success_rate>=0.9")


def test_run_without_jobs_fails(tmp_path: Path) -> None:
    empty = Synthetic(tmp_path, plan=planned("1", seed="7"))
    empty.plan = empty.plan.model_copy(update={"stages": ()})
    judgement = judge(empty.write().folder)

    assert not judgement.passed
    assert any("there are no jobs" in reason for reason in judgement.reasons)


def test_lost_jobs_are_named_once_and_have_no_end(tmp_path: Path) -> None:
    run = made(tmp_path)
    run.edit(raw.JOBS, lambda rows: rows.clear())
    rules = [reason.partition(":")[0] for reason in judge(run.folder).reasons]

    assert "lost" in rules
    assert "None" not in rules


def test_same_finding_of_many_samples_is_one_reason(tmp_path: Path) -> None:
    run = made(tmp_path)
    run.edit(raw.SLOTS, lambda rows: rows.extend([{**rows[0], "paused": True}] * 2))
    judgement = judge(run.folder)

    assert [found.rule for found in judgement.findings].count("slots.paused") == 2
    assert sum("slots.paused" in reason for reason in judgement.reasons) == 1


def test_without_mocks_no_ledger_is_judged(tmp_path: Path) -> None:
    run = made(tmp_path, mocks=())
    judgement = judge(run.folder)

    assert judgement.passed, judgement.reasons
    assert judgement.stages[0].metrics["charged_twice"] is None
    # An end that nobody has received is still one.
    run.edit(raw.RECEIPTS, lambda rows: rows.pop())
    assert named(judge(run.folder), "signals") == [job_id(0, 2)]


@pytest.mark.parametrize("mock", STEPS)
def test_with_one_mock_only_its_ledger_is_judged(tmp_path: Path, mock: str) -> None:
    run = made(tmp_path, mocks=(mock,))
    assert run.plan.stall == 1800
    assert judge(run.folder).passed, judge(run.folder).reasons

    run.edit(raw.LEDGERS[mock], lambda rows: rows.append(rows[0]))
    assert set(named(judge(run.folder), "charged_twice")) == {job_id(0, 0)}

    run.edit(raw.LEDGERS[mock], lambda rows: rows.pop(2))
    assert job_id(0, 2) in named(judge(run.folder), "history.result.vendor_id")


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("max<10s", []),
        ("max<1s", ["max<1: measured 3.27 in stage 1 (3 jobs)"]),
        ("handover_p95<60s", ["handover_p95<60: could not be measured"]),
    ],
)
def test_threshold_decides_and_needs_a_measurement(
    tmp_path: Path, text: str, reasons: list[str]
) -> None:
    assert judge(made(tmp_path, thresholds=(text,)).folder).reasons == reasons


def again(name: str, place: int, **other: object) -> Bend:
    """A row is there once more, told otherwise."""
    return lambda run: run.add(name, [copy.deepcopy([*run.folder.rows(name)][place]) | other])


def gone(name: str, place: int) -> Bend:
    return lambda run: run.edit(name, lambda rows: rows.pop(place))


def other(name: str, place: int, *path: str, **values: object) -> Bend:
    return lambda run: run.change(name, place, *path, **values)


GOES_ON: Row = {"status": "running", "finished_at": None}


@pytest.mark.parametrize(
    ("bend", "kind", "jobs", "condition"),
    [
        (again(raw.JOBS, 2), "duplicated", {job_id(1, 1)}, "duplicated==0"),
        (
            again(raw.EXECUTIONS, 1, job_id="job-stray", run_id="other"),
            "duplicated",
            {"job-stray"},
            "duplicated==0",
        ),
        (
            other(raw.SUBMITS, 3, job_id=job_id(1, 1)),
            "duplicated",
            {job_id(1, 1), job_id(1, 2)},
            "duplicated==0",
        ),
        (gone(raw.RECEIPTS, 8), "callbacks_lost", {job_id(1, 3)}, "callbacks_lost==0"),
        (again(raw.RECEIPTS, -1, task_id="video-of-nobody"), "receipts", {job_id(1, 4)}, ""),
        (again(VIDEO, 2), "charged_twice", {job_id(1, 1)}, "charged_twice==0"),
        (gone(raw.STATES, 4), "lost", {job_id(1, 3)}, "lost==0"),
        (gone(raw.JOBS, 4), "lost", {job_id(1, 3)}, "lost==0"),
        (other(raw.JOBS, 4, "job", **GOES_ON), "still_open", {job_id(1, 3)}, "still_open==0"),
        (other(raw.FILES, 0, sha256="other"), "files.sha256", {job_id(0, 0)}, "disagreements"),
        (
            other(raw.LEDGERS["image"], 2, style="other"),
            "image_ledger.style",
            {job_id(1, 1)},
            "disagreements",
        ),
        (
            other(VIDEO, 2, outcome="failed", charged=False),
            "faults_unaccounted",
            {job_id(1, 1)},
            "faults_unaccounted==0",
        ),
        (lambda run: run.told(raw.RUN, unread=["receipts: no"]), "run.unread", {"the run"}, ""),
        (lambda run: run.told(raw.RUN, mocks=["video"]), "run.mocks", {"the run"}, ""),
    ],
    ids=[
        *("listed twice", "asked for by nobody", "two submissions share a job", "callback lost"),
        *("receipt forged", "charged twice", "without a record", "forgotten by the API"),
        *(
            "not ended",
            "a file swapped",
            "another style",
            "failed without a trace",
            "a book that was not read",
        ),
        "a ledger of a vendor that was no mock",
    ],
)
def test_bent_field_is_named(
    honest: Synthetic, bend: Bend, kind: str, *, jobs: set[str], condition: str
) -> None:
    bend(honest)
    judgement = judge(honest.folder)

    assert not judgement.passed
    assert set(named(judgement, kind)) == jobs
    assert any(reason.startswith(condition) for reason in judgement.reasons)


def test_unread_histories_convict_no_holder(honest: Synthetic) -> None:
    for path in honest.folder.histories.iterdir():
        path.unlink()
    honest.told(raw.RUN, unread=["Temporal: no answer"])
    rules = {found.rule for found in judge(honest.folder).findings}

    assert "run.unread" in rules
    assert [rule for rule in rules if rule.startswith("slots.")] == []


def test_job_that_continued_during_the_collection_is_no_orphan(honest: Synthetic) -> None:
    honest.change(raw.JOBS, -1, "job", **GOES_ON)
    honest.edit(VIDEO, lambda rows: rows.pop())
    judgement = judge(honest.folder)

    assert named(judgement, "still_open") == [job_id(1, 4)]
    assert named(judgement, "orphaned") == []


@pytest.mark.parametrize("known", [False, True])
def test_generation_of_another_job_is_an_orphan_or_counts_for_the_limit(
    honest: Synthetic, *, known: bool
) -> None:
    again(IMAGE, 0, job_id="x", external_id="job-neighbour.image.1")(honest)
    honest.add(raw.FOREIGN, [{"job_id": "job-neighbour", "known": known}])
    judgement = judge(honest.folder)

    assert named(judgement, "orphaned") == ["job-neighbour"] * (not known)
    assert judgement.stages[0].at_once["vendors"].most == 2


@pytest.mark.parametrize("known", [False, True])
def test_holder_whose_generations_a_mock_forgot_is_another_job(
    honest: Synthetic, *, known: bool
) -> None:
    honest.edit(raw.STAGES, lambda rows: rows[0]["slots_before"].update(holders=["job-earlier"]))
    honest.add(raw.FOREIGN, [{"job_id": "job-earlier", "known": known}])

    assert convicted(honest, "slots.holders") == (set() if known else {"job-earlier"})
    assert judge(honest.folder).passed == known


def test_foreign_job_under_a_key_of_the_run_is_one_of_its_own(honest: Synthetic) -> None:
    own = job_id(1, 5)
    again(IMAGE, 0, job_id="x", external_id=f"{own}.image.1")(honest)
    honest.add(raw.FOREIGN, [{"job_id": own, "known": True}])

    assert convicted(honest, "foreign.job_id") == {own}


def test_generations_left_by_another_job_end_with_that_job(honest: Synthetic) -> None:
    left = {"job_id": "x", "external_id": "job-earlier.image.1", "prompt": "x", "outcome": None}
    again(IMAGE, 0, **left, accepted_at=T0 - 50, finished_at=None)(honest)
    honest.add(raw.FOREIGN, [{"job_id": "job-earlier", "known": True, "finished_at": T0 - 40}])
    honest.told(raw.VENDORS, "image", "stats", in_flight=1)
    honest.told(raw.VENDORS, "image", "verdict", open=1)

    assert judge(honest.folder).passed


def test_overlap_names_both_jobs(honest: Synthetic) -> None:
    honest.change(IMAGE, 3, accepted_at=lambda at: at - 0.5, started_at=lambda at: at - 0.5)
    judgement = judge(honest.folder)

    overlap = next(finding for finding in judgement.findings if finding.rule == "overlap")
    assert overlap.job_id == job_id(1, 2)
    assert job_id(1, 1) in overlap.text
    assert "max_at_once<=limit: measured 2 in stage 2 (5 jobs)" in judgement.reasons


def test_overlap_in_the_records_only_is_found(honest: Synthetic) -> None:
    before = [row["record"]["transitions"][1]["at"] for row in honest.folder.rows(raw.STATES)][2]
    honest.change(raw.STATES, 3, "record", started_at=before)
    judgement = judge(honest.folder)

    assert {name: found.most for name, found in judgement.stages[1].at_once.items()} == {
        "vendors": 1,
        "records": 2,
        "temporal": 1,
    }
    assert not judgement.passed


def test_overlap_between_two_stages_is_found(honest: Synthetic) -> None:
    next_stage = [row["accepted_at"] for row in honest.folder.rows(IMAGE)][1]
    honest.change(VIDEO, 0, finished_at=next_stage + 0.1)

    assert "overlap" in rules(honest)


def test_limit_that_was_never_reached_is_not_shown(honest: Synthetic) -> None:
    honest.told(raw.RUN, limit=2)

    reasons = judge(honest.folder).reasons
    assert "reached_at_once>=expected: measured 1 in stage 2 (5 jobs)" in reasons
