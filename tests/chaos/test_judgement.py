"""What only a run under strikes has is broken once in the books of a healthy run, and named."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loadtest.books import raw
from loadtest.books.executions import SLOT, Signal
from loadtest.judge.intervals import TEMPORAL, by_book, sweep
from tests.chaos import judgement
from tests.chaos.books import Evidence
from tests.chaos.judgement import ENOUGH_SECONDS, violations
from tests.chaos.schedule import Kind
from tests.loadtest.synthetic import GAP, Synthetic, job_id

RUNS = "the histories"
FIRST, SECOND, THIRD = (job_id(0, index) for index in range(3))
FREE = {"limit": 1, "paused": False, "holders": [], "waiting_count": 0}
ENDS, LOST = judgement.ENDS, "lost"
Row = dict[str, Any]


@pytest.fixture
def run(tmp_path: Path) -> Synthetic:
    healthy = Synthetic(tmp_path).write()
    noted(healthy)
    return healthy


def noted(run: Synthetic, done: Row | None = None, **more: Any) -> None:
    """What a chaos run notes beside the books; by default nothing was done to a job."""
    told: Row = {"slots": FREE, "tail": [THIRD]}
    told |= {"struck": [{"target": "callback", "epoch": 0.0}]}
    run.replace(raw.CHAOS, told | {"disturbed": done or {}} | more)


def broken(run: Synthetic) -> set[str]:
    found = violations(Evidence.of(run.folder))
    return {each.rule for each in found if each.rule != judgement.JUDGED}


def of(job: str, change: Callable[[Row], object]) -> Callable[[list[Row]], object]:
    """A change of one job's rows."""

    def edit(rows: list[Row]) -> None:
        for row in rows:
            named = row.get("external_id") or row.get("job_id") or row["job"]["job_id"]
            if str(named).startswith(job):
                change(row)

    return edit


def test_healthy_run_has_no_violation(run: Synthetic) -> None:
    assert violations(Evidence.of(run.folder)) == []


def test_finding_of_the_reference_model_is_a_violation(run: Synthetic) -> None:
    def early(row: Row) -> None:
        row["accepted_at"] -= 3 * GAP

    run.edit(raw.LEDGERS["image"], of(SECOND, early))
    found = violations(Evidence.of(run.folder))

    assert {("overlap", SECOND)} <= {(each.rule, each.who) for each in found}
    assert judgement.JUDGED in {each.rule for each in found}


@pytest.mark.parametrize(
    ("told", "rule", "who"),
    [
        (
            {"slots": {"holders": [{"job_id": FIRST, "draining": True}]}},
            judgement.NOBODY_HELD,
            FIRST,
        ),
        ({"slots": {"holders": [], "waiting_count": 2}}, judgement.NOBODY_HELD, ""),
        ({"tail": ["job-unknown"]}, judgement.TAIL, "job-unknown"),
    ],
)
def test_leftovers_at_the_end_are_reported(run: Synthetic, told: Row, rule: str, who: str) -> None:
    noted(run, **told)

    [found] = violations(Evidence.of(run.folder))
    assert (found.rule, found.who) == (rule, who)


def test_last_job_with_two_attempts_is_in_trouble(run: Synthetic) -> None:
    def second_attempt(rows: list[Row]) -> None:
        twin = dict(rows[2], job_id="twin", accepted_at=rows[2]["finished_at"])
        rows.append(twin | {"external_id": f"{THIRD}.video.2", "finished_at": twin["accepted_at"]})

    run.edit(raw.LEDGERS["video"], second_attempt)

    assert {judgement.TAIL, "charged_twice"} <= broken(run)


def test_two_permits_at_once_are_a_violation(run: Synthetic) -> None:
    found = Evidence.of(run.folder)
    runs = {each.run_id: each for job in found.books.jobs for each in job.executions}
    first, second = runs[f"r-{FIRST}"], runs[f"r-{SECOND}"]
    for early, rules in ((-0.001, set()), (0.1, {judgement.SEMAPHORES})):
        grants = {first.run_id: first.granted or 0.0, second.run_id: (first.closed or 0.0) - early}
        held = Evidence(found.books, FREE, tail=frozenset(), grants=grants)
        assert {each.rule for each in violations(held)} == rules


def test_permit_that_came_after_the_wait_was_given_up_ends_with_its_return(run: Synthetic) -> None:
    found = Evidence.of(run.folder)
    runs = {each.run_id: each for job in found.books.jobs for each in job.executions}
    first, second = runs[f"r-{FIRST}"], runs[f"r-{SECOND}"]
    second.granted = early = (first.closed or 0.0) - 0.1
    first.releases.append(Signal("release", early - 0.1, {"name": SLOT, "token": first.token}, ""))
    grants = {first.run_id: first.granted or 0.0, second.run_id: early}
    held = Evidence(found.books, FREE, tail=frozenset(), grants=grants)

    def overlaps() -> set[str]:
        swept = sweep(by_book(found.books, {})[TEMPORAL], 1)
        return {each.second for each in swept.pairs}

    assert judgement.SEMAPHORES in {each.rule for each in violations(held)}
    assert overlaps() == {SECOND}
    first.orders.clear()
    assert judgement.SEMAPHORES not in {each.rule for each in violations(held)}
    assert overlaps() == set()


def ended(run: Synthetic, status: str, code: str | None = None, *, of_run: str) -> None:
    """The first job ended in this way, by all books."""
    error = {"code": code, "message": "why"} if code else None

    def record(row: Row) -> None:
        row["record"].update(status=status, error=error)
        row["record"]["transitions"][-1].update(status=status, error=error)

    run.edit_runs(of(FIRST, lambda row: row.update(status=of_run)))
    run.edit(raw.STATES, of(FIRST, record))
    run.edit(raw.JOBS, of(FIRST, lambda row: row["job"].update(status=status)))


def test_cancelled_job_after_a_cancel_is_no_violation(run: Synthetic) -> None:
    ended(run, "cancelled", "cancelled", of_run="CANCELED")
    assert ENDS in broken(run)

    noted(run, {FIRST: [Kind.CANCEL]})
    assert ENDS not in broken(run)


@pytest.mark.parametrize(
    ("early", "done", "rules"),
    [
        (0.5, Kind.TERMINATE, set()),
        (-0.5, Kind.TERMINATE, set()),
        (5.0, Kind.TERMINATE, {"history.status"}),
        (0.5, Kind.CANCEL, {ENDS}),
    ],
)
def test_job_terminated_during_its_last_task_is_no_violation(
    run: Synthetic, early: float, done: Kind, rules: set[str]
) -> None:
    """Seconds from the end of the run to the end in its record."""
    [record] = [job.record for job in Evidence.of(run.folder).books.jobs if job.job_id == FIRST]
    assert record is not None
    closed = (record.transitions[-1].at or 0.0) - early
    run.edit_runs(of(FIRST, lambda row: row.update(status="TERMINATED", closed=closed)))
    noted(run, {FIRST: [done]})

    assert broken(run) & {ENDS, "history.status"} == rules


@pytest.mark.parametrize(
    ("strike", "blamed"),
    [
        ({"target": "workers"}, False),
        ({"target": "temporal"}, False),
        ({"target": "callback"}, True),
    ],
)
def test_time_out_during_repeated_strikes_is_no_violation(
    run: Synthetic, strike: Row, *, blamed: bool
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

    [record] = [job.record for job in Evidence.of(run.folder).books.jobs if job.job_id == FIRST]
    assert record is not None
    began = record.transitions[-2].at or 0.0
    ended(run, "failed", "job_timed_out", of_run="FAILED")
    run.edit(raw.STATES, of(FIRST, out_of_time))
    assert ENDS in broken(run)

    gaps = range(-20, 140, int(ENOUGH_SECONDS) - 5)
    noted(run, struck=[{"epoch": began + at, "seconds": 3.0, **strike} for at in gaps])
    assert (ENDS in broken(run)) is blamed


@pytest.mark.parametrize(
    ("code", "done"),
    [
        ("internal", Kind.ACTIVITY_FAIL),
        ("bad_completion", Kind.ACTIVITY_COMPLETE),
        ("reset_not_supported", Kind.RESET),
        ("forgotten", Kind.DELETE),
    ],
)
def test_operators_reason_without_an_operator_is_a_violation(
    run: Synthetic, code: str, done: Kind
) -> None:
    ended(run, "failed", code, of_run="FAILED")

    for deeds, blamed in ((None, True), ({FIRST: [Kind.CANCEL]}, True), ({FIRST: [done]}, False)):
        noted(run, deeds)
        assert (ENDS in broken(run)) is blamed


@pytest.mark.parametrize(
    ("done", "status", "rules"),
    [
        (Kind.RESET, "FAILED", set()),
        (Kind.START_AGAIN, "FAILED", set()),
        (Kind.START_AGAIN, "COMPLETED", {ENDS}),
        (Kind.CANCEL, "FAILED", {"duplicated", "states.record.run_id"}),
    ],
)
def test_run_started_by_an_operator_ends_and_the_record_keeps_its_end(
    run: Synthetic, *, done: Kind, status: str, rules: set[str]
) -> None:
    def another(rows: list[Row]) -> None:
        [old] = [row for row in rows if row["job_id"] == FIRST]
        rows.append({**old, "run_id": "again", "status": status, **at_once})

    [job] = [job for job in Evidence.of(run.folder).books.jobs if job.job_id == FIRST]
    assert job.execution is not None
    at_once: Row = {"started": job.execution.closed, "closed": job.execution.closed}
    at_once |= {"granted": None}
    run.edit_runs(another)
    run.edit(raw.EXECUTIONS, another)
    run.replace(raw.REPLAY, {"replayed": 4, "kept": 4, "failures": {}})
    noted(run, {FIRST: [done]})

    assert broken(run) & {"duplicated", "states.record.run_id", ENDS} == rules


@pytest.mark.parametrize(("done", "lost"), [(Kind.DELETE, False), (Kind.CANCEL, True)])
def test_deleted_history_is_no_violation(run: Synthetic, done: Kind, *, lost: bool) -> None:
    run.edit_runs(lambda rows: rows.pop(0))
    run.edit(raw.EXECUTIONS, lambda rows: rows.pop(0))
    run.edit(raw.SLOTS, list.clear)
    run.replace(raw.REPLAY, {"replayed": 2, "kept": 2, "failures": {}})
    noted(run, {FIRST: [done]})

    assert broken(run) == ({LOST} if lost else set())


@pytest.mark.parametrize(
    ("statuses", "fits"),
    [
        (("failed", "failed"), True),
        (("failed", "failed", "failed"), False),
        (("failed", "cancelled"), False),
        (("succeeded", "running", "succeeded"), False),
    ],
)
def test_record_one_version_behind_a_drained_run_is_no_violation(
    run: Synthetic, statuses: tuple[str, ...], *, fits: bool
) -> None:
    def amended(row: Row) -> None:
        *changes, last = row["record"]["transitions"]
        versions = range(last["version"], last["version"] + len(statuses))
        changes += [
            {**last, "version": version, "status": status}
            for version, status in zip(versions, statuses, strict=True)
        ]
        row["record"].update(transitions=changes, version=versions[-1], status=statuses[-1])

    run.edit(raw.STATES, of(FIRST, amended))
    run.edit_runs(of(FIRST, lambda row: row.update(status="TERMINATED")))
    noted(run, {FIRST: [Kind.TERMINATE]})

    rules = {"states.record.versions", "states.record.ends", "states.record.transitions[].status"}
    bent = rules & broken(run)
    assert (not bent) is fits
