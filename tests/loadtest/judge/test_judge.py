"""An honest run passes, and each thing that is bent fails it, by its name."""

import copy
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from loadtest.books import raw, seal
from loadtest.books.model import STEPS
from loadtest.books.prompts import style
from loadtest.judge.judge import Verdict, judge
from loadtest.run.plan import Options
from tests.loadtest.synthetic import T0, Row, Synthetic, job_id, named

IMAGE, VIDEO = raw.LEDGERS["image"], raw.LEDGERS["video"]
RUNS = "the histories"
Bend = Callable[[list[Row]], object]


def test_an_honest_run_passes(honest: Synthetic) -> None:
    judgement = judge(honest.folder)

    assert judgement.reasons == []
    assert judgement.passed
    assert judgement.findings == []
    assert judgement.headline == "PASS: 6 of 6 jobs succeeded, at most 1 at once"


@pytest.mark.parametrize(
    ("step", "end", "accused"),
    [("image", "", False), ("image", "0", True), ("video", "", True)],
)
def test_over_a_comfyuis_own_wire_the_style_stands_behind_the_prompt(
    honest: Synthetic, step: str, end: str, *, accused: bool
) -> None:
    def merge(rows: list[Row]) -> None:
        rows[0]["prompt"] += f"{end}, {style(7, 0, 0)}"

    honest.edit(raw.LEDGERS[step], merge)

    found = [each.rule for each in judge(honest.folder).findings]
    assert found == [f"{step}_ledger.prompt"] * accused


@pytest.mark.parametrize(
    ("change", "accused"),
    [
        ({"job_key": "other", "prompt": "other", "source_sha256": None, "source_shows": None}, []),
        ({"source_sha256": "other"}, ["image_ledger.source_sha256"]),
    ],
)
def test_the_second_stage_of_a_vendor_is_other_work_in_its_ledger(
    honest: Synthetic, change: Row, accused: list[str]
) -> None:
    run = honest.folder.read(raw.RUN)
    run["stages"][1]["vendor"] = "image"
    honest.replace(raw.RUN, run)
    videos = list(honest.folder.rows(VIDEO))
    honest.edit(VIDEO, lambda rows: rows.clear())
    honest.add(IMAGE, [videos[0] | change, *videos[1:]])

    rules = {each.rule for each in judge(honest.folder).findings}
    fields = ("job_key", "prompt", "source_sha256", "source_shows")
    assert [rule for field in fields if (rule := f"image_ledger.{field}") in rules] == accused


def test_a_verdict_of_the_mocks_that_differs_fails_the_run(honest: Synthetic) -> None:
    vendors = honest.folder.read(raw.VENDORS)
    vendors["video"]["verdict"]["charged_twice"] = [f"{job_id(1, 1)}.video.1", "job-other.video.1"]
    honest.replace(raw.VENDORS, vendors)

    [found] = judge(honest.folder).findings

    assert found.rule == "vendors.video.verdict.charged_twice"
    assert "job-other" not in found.found


@pytest.mark.parametrize(
    ("part", "more", "said"),
    [
        (None, {"faults_recorded": 9, "faults_remembered": 5}, "has forgotten 4 of its faults"),
        ("stats", {"ledger_dropped": 2}, "dropped 2 rows of its ledger"),
    ],
)
def test_what_a_vendor_has_forgotten_is_not_decided(
    honest: Synthetic, part: str | None, more: Row, said: str
) -> None:
    vendors = honest.folder.read(raw.VENDORS)
    body = vendors["video"]
    body["stats"]["faults_injected"] = more.get("faults_recorded", 0)
    (body[part] if part else body).update(more)
    honest.replace(raw.VENDORS, vendors)
    judgement = judge(honest.folder)

    assert judgement.verdict is Verdict.NOT_DECIDED
    assert not judgement.findings
    assert any(said in text for text in judgement.undecided)


def test_without_a_replay_nothing_is_decided(honest: Synthetic) -> None:
    (honest.folder.raw / raw.REPLAY).unlink()
    seal.write(honest.folder)

    assert judge(honest.folder).verdict is Verdict.NOT_DECIDED


def test_a_clock_that_was_set_makes_the_run_void_and_blames_nobody(honest: Synthetic) -> None:
    def step(rows: list[Row]) -> None:
        rows[1]["sent_at"] += 3.0

    honest.edit(raw.CLOCKS, step)
    honest.edit(raw.FILES, lambda rows: rows[0].update(sha256="other"))
    judgement = judge(honest.folder)

    assert judgement.verdict is Verdict.VOID
    assert judgement.headline.startswith("VOID: the clock stepped by 3")
    assert judgement.findings == []


def test_conditions_that_were_loosened_stand_in_the_headline(tmp_path: Path) -> None:
    plan = Options(stages="3", seed="7", thresholds=("success_rate>=0.9",)).plan()
    judgement = judge(Synthetic(tmp_path, plan=plan).write().folder)

    assert judgement.passed
    assert judgement.headline.endswith("; by conditions that were loosened: success_rate>=0.9")


def test_a_book_that_could_not_be_read_fails_the_run(honest: Synthetic) -> None:
    run = honest.folder.read(raw.RUN)
    honest.replace(raw.RUN, {**run, "unread": ["receipts: connection refused"]})

    judgement = judge(honest.folder)

    assert "run.unread" in {found.rule for found in judgement.findings}


def test_no_jobs_is_a_failure(tmp_path: Path) -> None:
    empty = Synthetic(tmp_path, plan=Options(stages="1", seed="7").plan())
    empty.plan = empty.plan.model_copy(update={"stages": ()})

    judgement = judge(empty.write().folder)

    assert not judgement.passed
    assert any("there are no jobs" in reason for reason in judgement.reasons)


def test_without_mocks_the_vendors_say_nothing(tmp_path: Path) -> None:
    plan = Options(stages="3", seed="7").plan(mocks=())
    judgement = judge(Synthetic(tmp_path, plan=plan, mocks=()).write().folder)

    assert judgement.passed, judgement.reasons
    assert judgement.stages[0].metrics["charged_twice"] is None


@pytest.mark.parametrize("mock", STEPS)
def test_with_one_mock_its_book_alone_is_judged(tmp_path: Path, mock: str) -> None:
    plan = Options(stages="3", seed="7").plan(mocks=[mock])
    good = Synthetic(tmp_path, plan=plan, mocks=[mock]).write()
    bad = Synthetic(tmp_path, plan=plan, mocks=[mock], run_id="bad").write()
    bad.edit(raw.LEDGERS[mock], lambda rows: rows.append(rows[0]))
    missing = Synthetic(tmp_path, plan=plan, mocks=[mock], run_id="missing").write()
    missing.edit(raw.LEDGERS[mock], lambda rows: rows.pop())

    assert plan.stall == 1800
    assert judge(good.folder).passed, judge(good.folder).reasons
    assert sorted(set(named(judge(bad.folder), "charged_twice"))) == [job_id(0, 0)]
    assert job_id(0, 2) in named(judge(missing.folder), "ledger")


def test_a_ledger_of_a_vendor_that_was_no_mock_is_named(tmp_path: Path) -> None:
    run = Synthetic(tmp_path).write()
    run.replace(raw.RUN, {**run.folder.read(raw.RUN), "mocks": ["video"]})

    texts = [finding.text for finding in judge(run.folder).findings]
    assert "it says that the image service was no mock, and has its ledger" in texts


def test_without_mocks_an_end_that_nobody_received_is_named(tmp_path: Path) -> None:
    plan = Options(stages="3", seed="7").plan(mocks=())
    run = Synthetic(tmp_path, plan=plan, mocks=()).write()
    run.edit(raw.RECEIPTS, lambda rows: rows.pop())

    assert named(judge(run.folder), "signals") == [job_id(0, 2)]


def test_a_threshold_that_was_asked_for_must_be_measured(tmp_path: Path) -> None:
    plan = Options(stages="3", seed="7", thresholds=("handover_p95<60s",)).plan()
    judgement = judge(Synthetic(tmp_path, plan=plan).write().folder)

    assert judgement.reasons == ["handover_p95<60: could not be measured"]


@pytest.mark.parametrize(("text", "holds"), [("max<10s", True), ("max<1s", False)])
def test_a_threshold_decides(tmp_path: Path, text: str, holds: bool) -> None:
    plan = Options(stages="3", seed="7", thresholds=(text,)).plan()

    assert judge(Synthetic(tmp_path, plan=plan).write().folder).passed is holds


def again(place: int, **other: object) -> Bend:
    """A row is there once more, told otherwise."""
    return lambda rows: rows.append(copy.deepcopy(rows[place]) | other)


def told(place: int, **other: object) -> Bend:
    """Change a row."""
    return lambda rows: rows[place].update(other)


def reopened(place: int) -> Bend:
    return lambda rows: rows[place]["job"].update(status="running", finished_at=None)


@pytest.mark.parametrize(
    ("book", "bend", "kind", "jobs", "condition"),
    [
        (raw.JOBS, again(2), "duplicated", [job_id(1, 1)], "duplicated==0"),
        (
            raw.EXECUTIONS,
            again(1, job_id="job-stray", run_id="other"),
            "duplicated",
            ["job-stray"],
            "duplicated==0",
        ),
        (
            raw.SUBMITS,
            told(3, job_id=job_id(1, 1)),
            "duplicated",
            [job_id(1, 1), job_id(1, 2)],
            "duplicated==0",
        ),
        (raw.RECEIPTS, lambda r: r.pop(8), "callbacks_lost", [job_id(1, 3)], "callbacks_lost==0"),
        (
            raw.RECEIPTS,
            again(-1, task_id="video-of-nobody"),
            "orphaned",
            [job_id(1, 4)],
            "",
        ),
        (VIDEO, again(2), "charged_twice", [job_id(1, 1)], "charged_twice==0"),
        (
            IMAGE,
            again(2, external_id=f"{job_id(1, 1)}.image.2"),
            "charged_twice",
            [job_id(1, 1)],
            "charged_twice==0",
        ),
        (raw.STATES, lambda rows: rows.pop(4), "lost", [job_id(1, 3)], "lost==0"),
        (raw.JOBS, lambda rows: rows.pop(4), "lost", [job_id(1, 3)], "lost==0"),
        (raw.JOBS, reopened(4), "still_open", [job_id(1, 3)], "still_open==0"),
        (RUNS, told(5, status="FAILED"), "history.status", [job_id(1, 4)], "disagreements"),
        (raw.FILES, told(0, sha256="other"), "files.sha256", [job_id(0, 0)], "disagreements"),
        (
            VIDEO,
            told(2, outcome="failed", charged=False),
            "faults_unaccounted",
            [job_id(1, 1)],
            "faults_unaccounted==0",
        ),
    ],
    ids=[
        *("listed twice", "asked for by nobody", "two submissions share a job"),
        *("callback lost", "receipt forged", "charged_twice", "charged without an attempt"),
        *("without a record", "forgotten by the API", "not ended", "another end in Temporal"),
        *("a file swapped", "failed without a trace"),
    ],
)
def test_what_is_bent_is_named(
    honest: Synthetic, book: str, bend: Bend, *, kind: str, jobs: list[str], condition: str
) -> None:
    if book == RUNS:
        honest.edit_runs(bend)
    else:
        honest.edit(book, bend)

    judgement = judge(honest.folder)

    assert not judgement.passed
    assert sorted(set(named(judgement, kind))) == jobs
    assert any(reason.startswith(condition) for reason in judgement.reasons)


def test_a_job_that_went_on_while_the_books_were_read_is_not_orphaned(honest: Synthetic) -> None:
    honest.edit(raw.JOBS, reopened(-1))
    honest.edit(VIDEO, lambda rows: rows.pop())

    judgement = judge(honest.folder)

    assert named(judgement, "still_open") == [job_id(1, 4)]
    assert named(judgement, "orphaned") == []


def test_a_generation_that_nobody_asked_for_is_orphaned(honest: Synthetic) -> None:
    honest.edit(IMAGE, again(0, job_id="x", external_id="job-nobody.image.1"))
    honest.add(raw.FOREIGN, [{"job_id": "job-nobody", "known": False}])

    assert "job-nobody" in named(judge(honest.folder), "orphaned")


def test_an_overlap_names_both_jobs(honest: Synthetic) -> None:
    def early(rows: list[Row]) -> None:
        rows[3]["accepted_at"] -= 0.5
        rows[3]["started_at"] -= 0.5

    honest.edit(IMAGE, early)

    judgement = judge(honest.folder)

    overlap = next(finding for finding in judgement.findings if finding.rule == "overlap")
    assert overlap.job_id == job_id(1, 2)
    assert job_id(1, 1) in overlap.text
    assert "max_at_once<=limit: measured 2 in stage 2 (5 jobs)" in judgement.reasons


def test_an_overlap_in_the_records_alone_is_caught(honest: Synthetic) -> None:
    def early(rows: list[Row]) -> None:
        transitions = rows[3]["record"]["transitions"]
        transitions[1]["at"] = rows[2]["record"]["transitions"][1]["at"]

    honest.edit(raw.STATES, early)

    judgement = judge(honest.folder)

    assert judgement.stages[1].at_once["records"].most == 2
    assert judgement.stages[1].at_once["vendors"].most == 1
    assert not judgement.passed


def test_an_overlap_between_two_stages_is_caught(honest: Synthetic) -> None:
    def late(rows: list[Row]) -> None:
        rows[0]["finished_at"] = rows[1]["accepted_at"] + 0.1

    honest.edit(VIDEO, late)

    assert not judge(honest.folder).passed


def test_another_users_job_counts_for_the_limit(honest: Synthetic) -> None:
    honest.edit(IMAGE, again(0, job_id="x", external_id="job-neighbour.image.1"))
    honest.add(raw.FOREIGN, [{"job_id": "job-neighbour", "known": True}])

    judgement = judge(honest.folder)

    assert named(judgement, "orphaned") == []
    assert judgement.stages[0].at_once["vendors"].most == 2


def test_what_another_job_left_open_at_the_vendor_ends_with_that_job(honest: Synthetic) -> None:
    def add(rows: list[Row]) -> None:
        left = {**rows[0], "job_id": "x", "external_id": "job-earlier.image.1", "prompt": "x"}
        rows.append({**left, "accepted_at": T0 - 50, "finished_at": None, "outcome": None})

    honest.edit(IMAGE, add)
    ended = {"job_id": "job-earlier", "known": True, "finished_at": T0 - 40}
    honest.add(raw.FOREIGN, [ended])
    vendors = honest.folder.read(raw.VENDORS)
    vendors["image"]["stats"]["in_flight"] = vendors["image"]["verdict"]["open"] = 1
    honest.replace(raw.VENDORS, vendors)

    assert judge(honest.folder).passed


def test_a_limit_that_was_never_reached_proves_nothing(honest: Synthetic) -> None:
    honest.replace(raw.RUN, {**honest.folder.read(raw.RUN), "limit": 2})

    judgement = judge(honest.folder)

    assert "reached_at_once>=expected: measured 1 in stage 2 (5 jobs)" in judgement.reasons


STEP = 0.5
JOBS = 30


def sampled(run: Synthetic, shown: Callable[[int, float], int]) -> None:
    """Samples every half second; `shown` gets how many are in the system, and since when."""
    jobs = [row["record"] for row in run.folder.rows(raw.STATES)]
    times = [(seconds(job["created_at"]), seconds(job["finished_at"])) for job in jobs]
    first, last = min(times)[0], max(end for _, end in times)
    rows: list[Row] = []
    at = first
    while at <= last:
        inside = sum(begin <= at < end for begin, end in times)
        waiting = shown(inside, at - first)
        rows.append({"stage": 0, "at": at, "limit": 1, "holders": [], "waiting": waiting})
        at += STEP
    run.add(raw.SLOTS, rows)


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("shown", "holds"),
    [
        (lambda inside, since: inside, True),
        (lambda inside, since: inside if since > 1.2 else 1, True),
        (lambda inside, since: inside // 2, False),
        (lambda inside, since: inside * 2, False),
    ],
    ids=["true", "late at the beginning", "half of them unseen", "twice as many"],
)
def test_samples_must_fit_the_jobs(
    tmp_path: Path, shown: Callable[[int, float], int], holds: bool
) -> None:
    run = Synthetic(tmp_path, plan=Options(stages=str(JOBS), seed="7").plan()).write()
    sampled(run, shown)
    assert (not named(judge(run.folder), "slots.waiting")) is holds


def test_jobs_that_are_still_open_are_in_the_system(tmp_path: Path) -> None:
    run = Synthetic(tmp_path, plan=Options(stages=str(JOBS), seed="7").plan()).write()

    def reopen(rows: list[Row]) -> None:
        for row in rows[JOBS // 2 :]:
            row["job"] |= {"status": "running", "finished_at": None}

    sampled(run, lambda inside, since: max(inside, JOBS // 2))
    run.edit(raw.JOBS, reopen)
    found = [f for f in judge(run.folder).findings if f.rule == "slots.waiting"]
    assert not any(f.text.startswith("on average") for f in found)


def test_samples_may_be_few_just_where_many_wait(tmp_path: Path) -> None:
    """A machine without time looks seldom in the first half, in which most are in the system."""
    run = Synthetic(tmp_path, plan=Options(stages=str(JOBS), seed="7").plan()).write()
    sampled(run, lambda inside, since: inside)

    def thin_out(rows: list[Row]) -> None:
        looks = [row for row in rows if row["waiting"] is not None]
        half = len(looks) // 2
        rows[:] = [*looks[:half:10], *looks[half:]]

    run.edit(raw.SLOTS, thin_out)
    assert not named(judge(run.folder), "slots.waiting")


def test_when_they_came_and_went_in_a_long_gap_nobody_saw(tmp_path: Path) -> None:
    """The first look is ahead of most arrivals, and the next one behind many ends."""
    run = Synthetic(tmp_path, plan=Options(stages=str(JOBS), seed="7").plan()).write()
    sampled(run, lambda inside, since: inside if since else 1)

    def without_the_first_third(rows: list[Row]) -> None:
        looks = [row for row in rows if row["waiting"] is not None]
        rows[:] = [looks[0], *looks[len(looks) // 3 :]]

    run.edit(raw.SLOTS, without_the_first_third)
    assert not named(judge(run.folder), "slots.waiting")
