"""How a job ended is no violation where something was done to it, and one where it was not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from loadtest.books import raw
from tests.chaos.evidence import Done
from tests.chaos.forged import FIRST, Row, broken, evidence, of
from tests.chaos.judgement import Rule
from tests.chaos.quiet import ENOUGH_SECONDS
from tests.loadtest.synthetic import Synthetic


def test_a_cancelled_job_that_was_cancelled_is_no_violation(run: Synthetic) -> None:
    run.edit(raw.TEMPORAL, of(FIRST, lambda row: row.update(status="CANCELED")))
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
    run.edit(raw.TEMPORAL, of(FIRST, terminated))
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
    run.edit(raw.TEMPORAL, of(FIRST, lambda row: row.update(status="FAILED")))
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
    run.edit(raw.TEMPORAL, of(FIRST, lambda row: row.update(status=run_status)))
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
    run.edit(raw.TEMPORAL, of(FIRST, lambda row: row.update(status="FAILED")))
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

        run.edit(name, another)

    first = next(job.execution for job in evidence(run).books.jobs if job.job_id == FIRST)
    assert first is not None
    nothing: Row = {name: [] for name in ("signals", "activities", "orders", "results")}
    at_once = nothing | {"started": first.closed, "closed": first.closed, "granted": None}
    add(raw.TEMPORAL)
    add(raw.EXECUTIONS)
    found = replace(evidence(run), disturbed={FIRST: frozenset({done})})

    assert broken(found) == rules


@pytest.mark.parametrize(("done", "rules"), [(Done.DELETE, set()), (Done.CANCEL, {Rule.NONE_LOST})])
def test_a_history_that_was_deleted_is_missed_by_nobody(
    run: Synthetic, done: Done, rules: set[Rule]
) -> None:
    run.edit(raw.TEMPORAL, lambda rows: rows.pop(0))
    run.edit(raw.EXECUTIONS, lambda rows: rows.pop(0))
    run_id = f"r-{FIRST}"
    run.edit(raw.STATES, of(FIRST, lambda row: row["record"].update(run_id=run_id)))
    found = replace(evidence(run), grants={run_id: 0.0}, disturbed={FIRST: frozenset({done})})

    assert broken(found) == rules


@pytest.mark.parametrize(("before", "rules"), [(1, set()), (0, {Rule.PAID_ONCE})])
def test_a_reset_begins_to_count_anew(run: Synthetic, before: int, rules: set[Rule]) -> None:
    """Its video was charged in the run before, if the record's changes show an attempt there."""

    def forge(row: Row) -> None:
        row["record"]["transitions"][1].update(step="video", attempt=before)
        row["record"]["transitions"][2].update(step=None)

    run.edit(raw.STATES, of(FIRST, forge))
    run.edit(raw.JOBS, of(FIRST, lambda row: row["job"]["attempts"].update(video=0)))

    assert broken(evidence(run)) == rules
