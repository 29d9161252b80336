"""Ends that the history, the plan and the ledgers forbid, and views that lack what was so."""

import base64

import pytest

from loadtest.books import raw
from loadtest.judge.judge import judge
from tests.loadtest.forging.kit import rewrite
from tests.loadtest.synthetic import JOB_SECONDS, Row, Synthetic, exactly, job_id, payload

SECOND, LAST = job_id(1, 1), job_id(1, 4)
UPSERT = "upsertWorkflowSearchAttributesEventAttributes"
MARKER = "EVENT_TYPE_MARKER_RECORDED"
COMPLETED = "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"


def convicted(run: Synthetic, rule: str) -> set[str]:
    """The jobs that the rule convicts."""
    return {found.job_id for found in judge(run.folder).findings if found.rule == rule}


def noted(event: Row) -> str:
    """The summary of an event."""
    return base64.b64decode(event["userMetadata"]["summary"]["data"]).decode()


def granted(honest: Synthetic) -> float:
    """When the last job but one began to hold the slot, by the ledger."""
    rows = list(honest.folder.rows(raw.LEDGERS["image"]))
    return float(rows[-2]["accepted_at"]) - 0.01


def look(honest: Synthetic, *moments: float, **shown: object) -> None:
    """Samples at these moments, and no others."""
    row = {"stage": 1, "limit": 1, "paused": False, "draining": 0, "waiting": 1}
    rows = [row | {"at": at, "holders": [job_id(1, 3)]} | shown for at in moments]
    honest.edit(raw.SLOTS, lambda there: there.__setitem__(slice(None), rows))


def test_a_job_that_goes_before_its_turn(honest: Synthetic) -> None:
    def hurry(events: list[Row]) -> None:
        started = events[0]["workflowExecutionStartedEventAttributes"]
        rewrite(started["input"], lambda body: body.update(priority=1))

    honest.history(LAST, hurry)

    # The first of the stage was granted before the last one had asked.
    assert convicted(honest, "turn") == {job_id(1, index) for index in (1, 2, 3)}

    def late(events: list[Row]) -> None:
        """Its request took until the third of the stage held the slot, whatever its marker says."""
        [asked] = [e for e in events if e["eventType"] == MARKER and "version 1: " in noted(e)]
        asked["eventTime"] = exactly(granted(honest))

    honest.history(LAST, late)

    assert convicted(honest, "turn") == set()


def test_a_first_of_a_stage_that_is_granted_before_its_own_task_ends(honest: Synthetic) -> None:
    runs = honest.folder.rows(raw.EXECUTIONS)
    [started] = [float(run["started"]) for run in runs if run["job_id"] == job_id(1, 0)]

    def ask(at: float) -> None:
        def hurry(events: list[Row]) -> None:
            body = events[0]["workflowExecutionStartedEventAttributes"]["input"]
            rewrite(body, lambda order: order.update(priority=1))
            [asked] = [e for e in events if e["eventType"] == MARKER and "version 1: " in noted(e)]
            asked["eventTime"] = exactly(at)

        honest.history(LAST, hurry)

    # The semaphore may have granted the place before it heard of the last one.
    ask(started + 0.001)
    assert job_id(1, 0) not in convicted(honest, "turn")

    ask(started - 0.001)
    assert job_id(1, 0) in convicted(honest, "turn")


def test_a_holder_that_is_not_shown(honest: Synthetic) -> None:
    begin = granted(honest)
    moments = [begin + after for after in (1.02, 1.03, 1.04)]
    look(honest, *moments)
    assert convicted(honest, "slots.holders") == set()

    look(honest, *moments, holders=[])

    assert convicted(honest, "slots.holders") == {job_id(1, 3)}


@pytest.mark.parametrize(
    ("shown", "rule", "accused"),
    [
        ({"waiting": 0}, "slots.waiting", LAST),
        ({"places": {LAST: 2}}, "slots.places", LAST),
    ],
)
def test_a_view_of_the_queue_that_is_wrong(
    honest: Synthetic, shown: Row, rule: str, accused: str
) -> None:
    begin = granted(honest)
    moments = [begin + after for after in (1.02, 1.03, 1.04)]
    look(honest, *moments, places={LAST: 1})
    assert convicted(honest, rule) == set()

    look(honest, *moments, **shown)

    assert accused in convicted(honest, rule)


def test_a_place_that_stays_free(honest: Synthetic) -> None:
    begin = granted(honest)
    moments = [begin + after for after in (1, 2, 3, 9)]
    look(honest, *moments, limit=2)
    # A semaphore that turns over on a busy machine.
    assert "the run" not in convicted(honest, "slots.limit")

    look(honest, *moments, begin + 11, limit=2)

    assert "the run" in convicted(honest, "slots.limit")


def test_a_place_of_a_moment_later(honest: Synthetic) -> None:
    """The places are asked for behind the sample, when the holder may have been followed."""
    begin = granted(honest)
    moments = [begin + after for after in (-0.3, -0.2, -0.1)]
    look(honest, *moments, holders=[job_id(1, 2)], places={LAST: 1})
    assert convicted(honest, "slots.places") == set()


def test_the_percent_in_temporal_is_not_that_of_the_record(honest: Synthetic) -> None:
    def fall(events: list[Row]) -> None:
        [upsert] = [event[UPSERT] for event in events if UPSERT in event]
        upsert["searchAttributes"]["indexedFields"]["CustomProgress"] = payload(50)

    honest.history(SECOND, fall)

    assert convicted(honest, "history.progress") == {SECOND}


def test_a_success_behind_the_jobs_own_time(honest: Synthetic) -> None:
    end = granted(honest) + JOB_SECONDS + 10

    def later(events: list[Row]) -> None:
        assert events[-1]["eventType"] == COMPLETED
        events[-1]["eventTime"] = exactly(end)

    honest.history(LAST, later)

    assert convicted(honest, "history.limit") == {LAST}


def test_a_video_that_ends_behind_its_job(honest: Synthetic) -> None:
    def late(rows: list[Row]) -> None:
        rows[2]["finished_at"] += 0.5

    honest.edit(raw.LEDGERS["video"], late)

    assert convicted(honest, "jobs.job.finished_at") == {SECOND}


def test_a_fifth_attempt(honest: Synthetic) -> None:
    def many(events: list[Row]) -> None:
        for event in events:
            scheduled = event.get("activityTaskScheduledEventAttributes") or {}
            rewrite(scheduled.get("input"), lambda body: "stage" in body and body.update(attempt=5))

    honest.history(SECOND, many)

    assert convicted(honest, "attempts") >= {SECOND}
