"""Each rule is broken once in the books of a healthy run, and is then named, and no other."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loadtest.books import raw
from loadtest.books.load import load
from tests.chaos.books import Done, Evidence, read, write
from tests.chaos.ends import ENOUGH_SECONDS
from tests.chaos.judgement import Rule, violations
from tests.loadtest.synthetic import GAP, Synthetic, job_id


@pytest.fixture
def run(tmp_path: Path) -> Synthetic:
    healthy = Synthetic(tmp_path).write()
    healthy.folder.write(raw.REPLAY, {"replayed": 3, "kept": 3, "failures": {}})
    return healthy


RUNS = "the histories"
FIRST, SECOND, THIRD = (job_id(0, index) for index in range(3))
FREE = {"limit": 1, "paused": False, "holders": [], "waiting_count": 0}
Row = dict[str, Any]


def evidence(run: Synthetic) -> Evidence:
    versions = dict.fromkeys((FIRST, SECOND, THIRD), 5)
    return Evidence(load(run.folder), FREE, versions=versions, tail=frozenset({THIRD}))


def broken(found: Evidence) -> set[Rule]:
    return {violation.rule for violation in violations(found)}


def edit(run: Synthetic, book: str, change: Callable[[list[Row]], object]) -> None:
    """Forge one book."""
    if book == RUNS:
        run.edit_runs(change)
    else:
        run.edit(book, change)


def of(job: str, change: Callable[[Row], object]) -> Callable[[list[Row]], object]:
    """A change of one job's rows."""

    def edit(rows: list[Row]) -> None:
        for row in rows:
            named = row.get("external_id") or row.get("job_id") or row["job"]["job_id"]
            if str(named).startswith(job):
                change(row)

    return edit


def test_a_healthy_run_breaks_no_rule(run: Synthetic) -> None:
    assert violations(evidence(run)) == []


def record(**fields: object) -> Callable[[Row], object]:
    return lambda row: row["record"].update(fields)


def early(row: Row) -> None:
    """Granted while the job before it still ran."""
    row["granted"] -= 3 * GAP


def early_image(row: Row) -> None:
    row["accepted_at"] -= 3 * GAP


def again(rows: list[Row]) -> None:
    """The first image is made, and paid for, a second time; at once after itself."""
    twin = dict(rows[0], job_id="twin", accepted_at=rows[0]["finished_at"])
    rows.append(twin | {"finished_at": twin["accepted_at"] + 0.001})


def last_first(rows: list[Row]) -> None:
    """The third job has the slot before the second, which had asked long before."""
    second, third = rows[1], rows[2]
    third["started"] += 0.001
    second["granted"], third["granted"] = third["granted"], third["granted"] - 0.01
    second["closed"], third["closed"] = third["closed"], second["granted"]


def shrink(row: Row) -> None:
    row["record"]["transitions"][1]["percent"] = 7
    row["record"]["transitions"][2].update(step="image", percent=3)


def second_attempt(rows: list[Row]) -> None:
    """The last video took two attempts, and both were charged."""
    twin = dict(rows[2], job_id="twin", accepted_at=rows[2]["finished_at"])
    rows.append(twin | {"external_id": f"{THIRD}.video.2", "finished_at": twin["accepted_at"]})


BROKEN: dict[str, tuple[str, Callable[[list[Row]], object], set[Rule]]] = {
    "two at once by the histories": (RUNS, of(SECOND, early), {Rule.AT_ONCE}),
    "two at once by the mocks": (raw.LEDGERS["image"], of(SECOND, early_image), {Rule.AT_ONCE}),
    "an older token": (
        raw.LEDGERS["video"],
        of(SECOND, lambda row: row.update(token=0)),
        {Rule.TOKENS},
    ),
    "no token": (
        raw.LEDGERS["image"],
        of(SECOND, lambda row: row.pop("token")),
        {Rule.TOKENS},
    ),
    "no permit in the history": (
        RUNS,
        of(SECOND, lambda row: row.update(granted=None)),
        {Rule.PERMITTED},
    ),
    "paid twice": (raw.LEDGERS["image"], again, {Rule.PAID_ONCE, Rule.NONE_LOST}),
    "no record": (
        raw.STATES,
        of(FIRST, lambda row: row.update(record=None, problem="missing")),
        {Rule.NONE_LOST, Rule.RECORDS},
    ),
    "unknown to Temporal": (
        RUNS,
        lambda rows: rows.pop(0),
        {Rule.NONE_LOST, Rule.PERMITTED},
    ),
    "open in Temporal": (
        RUNS,
        of(THIRD, lambda row: row.update(closed=None, status="RUNNING")),
        {Rule.ALL_END, Rule.ENDS},
    ),
    "the third before the second": (RUNS, last_first, {Rule.ORDER}),
    "a gap in the versions": (raw.STATES, of(FIRST, record(version=6)), {Rule.RECORDS}),
    "a falling percent": (raw.STATES, of(FIRST, shrink), {Rule.RECORDS}),
    "cancelled by nobody": (
        RUNS,
        of(FIRST, lambda row: row.update(status="CANCELED")),
        {Rule.ENDS},
    ),
    "a last job in trouble": (raw.LEDGERS["video"], second_attempt, {Rule.TAIL, Rule.PAID_ONCE}),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_named(run: Synthetic, case: str) -> None:
    book, forge, rules = BROKEN[case]
    edit(run, book, forge)

    assert broken(evidence(run)) == rules


@pytest.mark.parametrize(
    ("slots", "who"),
    [
        ({"holders": [{"job_id": FIRST, "draining": True}], "waiting_count": 0}, FIRST),
        ({"holders": [], "waiting_count": 2}, ""),
    ],
)
def test_somebody_held_at_the_end(run: Synthetic, slots: Row, who: str) -> None:
    [found] = violations(replace(evidence(run), slots=slots))

    assert (found.rule, found.who) == (Rule.NOBODY_HELD, who)


def test_a_record_behind_its_workflow(run: Synthetic) -> None:
    [found] = violations(replace(evidence(run), versions={FIRST: 6}))

    assert (found.rule, found.who) == (Rule.RECORDS, FIRST)


def test_a_history_that_does_not_replay(run: Synthetic) -> None:
    run.folder.write(raw.REPLAY, {"replayed": 2, "kept": 3, "failures": {FIRST: "another order"}})

    assert broken(evidence(run)) == {Rule.REPLAYS}


def test_an_unread_book(run: Synthetic) -> None:
    books = load(run.folder)
    books.run["unread"] = ["receipts: gone"]

    assert Rule.READ in broken(replace(evidence(run), books=books))


def test_evidence_is_read_as_it_was_written(run: Synthetic) -> None:
    found = replace(evidence(run), disturbed={FIRST: frozenset({Done.CANCEL, Done.RESET})})
    write(run.folder, found)

    again = read(run.folder)

    assert (again.slots, again.versions, again.tail) == (found.slots, found.versions, found.tail)
    assert (again.disturbed, again.struck) == (found.disturbed, list(found.struck))
    assert violations(again) == violations(found)


def test_a_permit_that_only_the_semaphore_tells_of_is_one(run: Synthetic) -> None:
    """The job was ended before it could hear of it; a second one beside it is seen all the same."""
    run.edit_runs(of(SECOND, lambda row: row.update(granted=None)))
    found = evidence(run)
    granted = {e.run_id: e.granted for job in found.books.jobs for e in job.executions}
    closed = {e.run_id: e.closed or 0.0 for job in found.books.jobs for e in job.executions}
    first, second = f"r-{FIRST}", f"r-{SECOND}"

    right = {first: granted[first] or 0.0, second: closed[first] + 0.001}
    assert violations(replace(found, grants=right)) == []
    assert broken(replace(found, grants=right | {second: closed[first] - 0.1})) == {Rule.AT_ONCE}


def test_a_cancelled_job_that_was_cancelled_is_no_violation(run: Synthetic) -> None:
    run.edit_runs(of(FIRST, lambda row: row.update(status="CANCELED")))
    run.edit(raw.STATES, of(FIRST, cancelled))
    run.edit(raw.JOBS, of(FIRST, lambda row: row["job"].update(status="cancelled")))
    found = evidence(run)

    assert broken(found) == {Rule.ENDS}
    assert broken(replace(found, disturbed={FIRST: frozenset({Done.CANCEL})})) == set()


@pytest.mark.parametrize(
    ("early", "done", "rules"),
    [
        (0.5, Done.TERMINATE, set()),
        (-0.5, Done.TERMINATE, set()),
        (5.0, Done.TERMINATE, {Rule.ENDS}),
        (0.5, Done.CANCEL, {Rule.ENDS}),
    ],
)
def test_terminated_just_as_its_last_task_wrote_its_end(
    run: Synthetic, early: float, done: Done, rules: set[Rule]
) -> None:
    """Seconds from the end of the run to the end in its record."""

    def terminated(row: Row) -> None:
        row.update(status="TERMINATED", closed=written - early)

    [record] = [job.record for job in evidence(run).books.jobs if job.job_id == FIRST]
    assert record is not None
    written = record.transitions[-1].at or 0.0
    run.edit_runs(of(FIRST, terminated))
    found = replace(evidence(run), disturbed={FIRST: frozenset({done})})

    assert broken(found) & {Rule.ENDS} == rules


@pytest.mark.parametrize(
    ("strike", "rules"),
    [
        ({"target": "workers"}, set()),
        ({"target": "temporal"}, set()),
        ({"target": "callback"}, {Rule.ENDS}),
        ({"target": "video wire", "met": 1}, set()),
        ({"target": "video wire", "met": 0}, {Rule.ENDS}),
    ],
)
def test_whose_time_was_up_while_what_it_needs_was_struck_over_and_over_is_not_blamed(
    run: Synthetic, strike: Row, rules: set[Rule]
) -> None:
    """Not for a moment longer than ENOUGH_SECONDS it could do anything."""

    def out_of_time(row: Row) -> None:
        record = row["record"]
        *_, running, end = record["transitions"]
        up = datetime.fromisoformat(running["at"]) + timedelta(seconds=120)
        record["transitions"][-1:] = [
            running | {"at": up.isoformat(), "version": end["version"]},
            end | {"at": up.isoformat(), "version": end["version"] + 1, "status": "failed"},
        ]
        record.update(status="failed", error={"code": "job_timed_out", "message": "late"})

    [record] = [job.record for job in evidence(run).books.jobs if job.job_id == FIRST]
    assert record is not None
    began = record.transitions[-2].at or 0.0
    run.edit(raw.STATES, of(FIRST, out_of_time))
    run.edit_runs(of(FIRST, lambda row: row.update(status="FAILED")))
    run.edit(raw.JOBS, of(FIRST, lambda row: row["job"].update(status="failed")))
    gaps = range(-20, 140, int(ENOUGH_SECONDS) - 5)
    strikes = [{"epoch": began + at, "seconds": 3.0, **strike} for at in gaps]
    found = evidence(run)

    assert Rule.ENDS in broken(found)
    assert broken(replace(found, struck=strikes)) & {Rule.ENDS} == rules


def cancelled(row: Row) -> None:
    row["record"]["status"] = row["record"]["transitions"][-1]["status"] = "cancelled"


def amended(*statuses: str) -> Callable[[Row], object]:
    """The record with further versions behind its end."""

    def change(row: Row) -> None:
        changes = row["record"]["transitions"]
        for status in statuses:
            last = changes[-1]
            changes.append({**last, "version": last["version"] + 1, "status": status})
        row["record"].update(version=changes[-1]["version"], status=changes[-1]["status"])

    return change


@pytest.mark.parametrize(
    ("statuses", "run_status", "done", "fits"),
    [
        (("failed", "failed"), "TERMINATED", Done.TERMINATE, True),
        (("failed", "failed", "failed"), "TERMINATED", Done.TERMINATE, False),
        (("failed", "cancelled"), "TERMINATED", Done.TERMINATE, False),
        (("succeeded", "succeeded"), "COMPLETED", Done.CANCEL, False),
        (("failed", "failed"), "FAILED", Done.RESET, True),
        (("failed", "failed"), "FAILED", Done.FAIL, False),
        (("succeeded", "running", "succeeded"), "COMPLETED", Done.RESET, False),
        (("succeeded", "running", "succeeded"), "COMPLETED", Done.CANCEL, False),
    ],
)
def test_one_version_behind_the_end_of_a_run_that_was_cleared_up_behind(
    run: Synthetic, *, statuses: tuple[str, ...], run_status: str, done: Done, fits: bool
) -> None:
    def change(row: Row) -> None:
        del row["record"]["transitions"][-1]
        amended(*statuses)(row)

    run.edit(raw.STATES, of(FIRST, change))
    run.edit_runs(of(FIRST, lambda row: row.update(status=run_status)))
    found = replace(evidence(run), disturbed={FIRST: frozenset({done})})
    assert (Rule.RECORDS in broken(found)) is not fits


@pytest.mark.parametrize(
    ("code", "done"),
    [
        ("internal", Done.FAIL),
        ("bad_completion", Done.COMPLETE),
        ("reset_not_supported", Done.RESET),
        ("forgotten", Done.DELETE),
    ],
)
def test_a_reason_that_an_operator_brings_about_is_blamed_where_nobody_did(
    run: Synthetic, code: str, done: Done
) -> None:
    run.edit_runs(of(FIRST, lambda row: row.update(status="FAILED")))
    run.edit(raw.STATES, of(FIRST, failed(code)))
    run.edit(raw.JOBS, of(FIRST, lambda row: row["job"].update(status="failed")))
    found = evidence(run)

    assert broken(found) == {Rule.ENDS}
    assert broken(replace(found, disturbed={FIRST: frozenset({Done.CANCEL})})) == {Rule.ENDS}
    assert broken(replace(found, disturbed={FIRST: frozenset({done})})) == set()


def failed(code: str) -> Callable[[Row], object]:
    def change(row: Row) -> None:
        row["record"]["transitions"][-1]["status"] = "failed"
        row["record"].update(status="failed", error={"code": code, "message": "why"})

    return change


@pytest.mark.parametrize(
    ("done", "status", "rules"),
    [
        (Done.RESET, "FAILED", set()),
        (Done.START_AGAIN, "FAILED", set()),
        (Done.START_AGAIN, "COMPLETED", {Rule.ENDS}),
        (Done.CANCEL, "FAILED", {Rule.ENDS, Rule.NONE_LOST}),
    ],
)
def test_a_run_that_an_operator_has_made_ends_and_the_record_keeps_its_end(
    run: Synthetic, *, done: Done, status: str, rules: set[Rule]
) -> None:
    def add(name: str) -> None:
        def another(rows: list[Row]) -> None:
            [old] = [row for row in rows if row["job_id"] == FIRST]
            rows.append({**old, "run_id": "again", "status": status, **at_once})

        edit(run, name, another)

    first = next(job.execution for job in evidence(run).books.jobs if job.job_id == FIRST)
    assert first is not None
    at_once: Row = {"started": first.closed, "closed": first.closed, "granted": None}
    add(RUNS)
    add(raw.EXECUTIONS)
    found = replace(evidence(run), disturbed={FIRST: frozenset({done})})

    assert broken(found) == rules


@pytest.mark.parametrize(("done", "rules"), [(Done.DELETE, set()), (Done.CANCEL, {Rule.NONE_LOST})])
def test_a_history_that_was_deleted_is_missed_by_nobody(
    run: Synthetic, done: Done, rules: set[Rule]
) -> None:
    run.edit_runs(lambda rows: rows.pop(0))
    run.edit(raw.EXECUTIONS, lambda rows: rows.pop(0))
    run_id = f"r-{FIRST}"
    run.edit(raw.STATES, of(FIRST, lambda row: row["record"].update(run_id=run_id)))
    found = replace(evidence(run), grants={run_id: 0.0}, disturbed={FIRST: frozenset({done})})

    assert broken(found) == rules
