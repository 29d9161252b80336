"""A forged run is caught, each forgery by its name."""

import copy

from loadtest.books import raw
from loadtest.judge.judge import judge
from tests.loadtest.judge.named import named
from tests.loadtest.synthetic import Synthetic, job_id
from tests.loadtest.synthetic_job import Row


def test_a_job_listed_twice_is_duplicated(honest: Synthetic) -> None:
    honest.edit(raw.JOBS, lambda rows: rows.append(copy.deepcopy(rows[2])))

    judgement = judge(honest.folder)

    assert not judgement.passed
    assert named(judgement, "duplicated") == [job_id(1, 1)]


def test_a_job_nobody_asked_for_is_duplicated(honest: Synthetic) -> None:
    def add(rows: list[Row]) -> None:
        rows.append({**rows[1], "job_id": "job-stray", "run_id": "other"})

    honest.edit(raw.EXECUTIONS, add)

    assert named(judge(honest.folder), "duplicated") == ["job-stray"]


def test_two_submissions_that_share_a_job_are_duplicated(honest: Synthetic) -> None:
    def share(rows: list[Row]) -> None:
        rows[3]["job_id"] = rows[2]["job_id"]

    honest.edit(raw.SUBMITS, share)

    judgement = judge(honest.folder)

    assert job_id(1, 1) in named(judgement, "duplicated")
    assert not judgement.passed


def test_a_lost_callback_is_named(honest: Synthetic) -> None:
    def lose(rows: list[Row]) -> None:
        rows.remove(next(row for row in rows if row["job_id"] == job_id(1, 3)))

    honest.edit(raw.RECEIPTS, lose)

    judgement = judge(honest.folder)

    assert named(judgement, "callback lost") == [job_id(1, 3)]
    assert "callbacks_lost==0: measured 1 in stage 2 (5 jobs)" in judgement.reasons


def test_a_forged_receipt_is_orphaned(honest: Synthetic) -> None:
    def forge(rows: list[Row]) -> None:
        rows.append({**rows[-1], "task_id": "video-of-nobody"})

    honest.edit(raw.RECEIPTS, forge)

    assert job_id(1, 4) in named(judge(honest.folder), "orphaned")


def test_the_same_generation_charged_twice_is_named(honest: Synthetic) -> None:
    honest.edit(raw.LEDGERS["video"], lambda rows: rows.append(copy.deepcopy(rows[2])))

    judgement = judge(honest.folder)

    assert named(judgement, "charged twice") == [job_id(1, 1)]
    assert "charged_twice==0: measured 1 in stage 2 (5 jobs)" in judgement.reasons


def test_a_charge_without_an_attempt_is_named(honest: Synthetic) -> None:
    def charge(rows: list[Row]) -> None:
        again = copy.deepcopy(rows[2])
        again["external_id"] = f"{job_id(1, 1)}.image.2"
        rows.append(again)

    honest.edit(raw.LEDGERS["image"], charge)

    assert named(judge(honest.folder), "charged twice") == [job_id(1, 1)]


def test_a_job_without_a_record_is_lost(honest: Synthetic) -> None:
    honest.edit(raw.STATES, lambda rows: rows.pop(4))

    judgement = judge(honest.folder)

    assert named(judgement, "lost") == [job_id(1, 3)]
    assert "lost==0: measured 1 in stage 2 (5 jobs)" in judgement.reasons


def test_a_job_that_the_api_forgot_is_lost(honest: Synthetic) -> None:
    honest.edit(raw.JOBS, lambda rows: rows.pop(4))

    judgement = judge(honest.folder)

    assert named(judgement, "lost") == [job_id(1, 3)]
    assert not judgement.passed


def test_a_job_that_did_not_end_is_still_open(honest: Synthetic) -> None:
    def reopen(rows: list[Row]) -> None:
        rows[4]["job"] |= {"status": "running", "finished_at": None}

    honest.edit(raw.JOBS, reopen)

    judgement = judge(honest.folder)

    assert named(judgement, "still open") == [job_id(1, 3)]
    assert "still_open==0: measured 1 in stage 2 (5 jobs)" in judgement.reasons


def test_books_that_contradict_each_other_are_named(honest: Synthetic) -> None:
    def fail(rows: list[Row]) -> None:
        rows[5]["status"] = "FAILED"

    honest.edit(raw.TEMPORAL, fail)

    assert named(judge(honest.folder), "contradiction") == [job_id(1, 4)]


def test_a_file_swapped_for_another_is_a_contradiction(honest: Synthetic) -> None:
    def swap(rows: list[Row]) -> None:
        rows[0]["sha256"] = "other"

    honest.edit(raw.FILES, swap)

    assert named(judge(honest.folder), "contradiction") == [job_id(0, 0)]


def test_a_failed_generation_without_a_trace_is_unaccounted(honest: Synthetic) -> None:
    def fail(rows: list[Row]) -> None:
        rows[2] |= {"outcome": "failed", "charged": False}

    honest.edit(raw.LEDGERS["video"], fail)

    judgement = judge(honest.folder)

    assert named(judgement, "fault unaccounted") == [job_id(1, 1)]
    assert not judgement.passed


def test_a_job_that_went_on_while_the_books_were_read_is_not_orphaned(honest: Synthetic) -> None:
    def reopen(rows: list[Row]) -> None:
        rows[-1]["job"] |= {"status": "running", "finished_at": None}

    honest.edit(raw.JOBS, reopen)
    honest.edit(raw.LEDGERS["video"], lambda rows: rows.pop())

    judgement = judge(honest.folder)

    assert named(judgement, "still open") == [job_id(1, 4)]
    assert named(judgement, "orphaned") == []


def test_a_generation_that_nobody_asked_for_is_orphaned(honest: Synthetic) -> None:
    def add(rows: list[Row]) -> None:
        rows.append({**rows[0], "job_id": "x", "external_id": "job-nobody.image.1"})

    honest.edit(raw.LEDGERS["image"], add)
    honest.add(raw.FOREIGN, [{"job_id": "job-nobody", "known": False}])

    assert "job-nobody" in named(judge(honest.folder), "orphaned")
