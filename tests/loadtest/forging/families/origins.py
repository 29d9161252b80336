"""Lies about who wrote something, on what terms it was ordered, and what a history shows of it."""

import json
from collections.abc import Callable, Iterable

from loadtest.books import raw
from tests.loadtest.forging.kit import (
    SIGNALED,
    Forger,
    Row,
    forgeries,
    forgery,
    forgery_of,
    moved,
    rewrite,
)

STARTED = "workflowExecutionStartedEventAttributes"
TASK = "workflowTaskStartedEventAttributes"


def _worker(f: Forger) -> str:
    """A process that took workflow tasks."""
    path = f.folder.histories / f"{f.order[0]}.json"
    tasks = (event.get(TASK) for event in json.loads(path.read_text("utf-8"))["events"])
    return str(next(filter(None, tasks))["identity"])


def _started(f: Forger, **fields: object) -> Iterable[str]:
    return f.history(f.job(), lambda events: events[0][STARTED].update(fields))


def _signalled(f: Forger, change: Callable[[Row], object]) -> Iterable[str]:
    return f.signals(f.job(), "kling_done", lambda event: change(event[SIGNALED]))


@forgery
def a_holder_of_others_that_no_vendor_knows(f: Forger) -> Iterable[str]:
    other = "job-0123456789abcdef01234567"
    f.folder.append(raw.FOREIGN, [{"job_id": other, "known": True, "finished_at": None}])
    return [other]


@forgery_of("lost-callbacks")
def a_callback_that_was_lost_long_after_its_task_had_ended(f: Forger) -> Iterable[str]:
    f.each(raw.FAULTS, lambda row: row.update(at=moved(row["at"], 0.4)))
    return ()


@forgery_of("slow-machine")
def a_task_that_its_code_had_failed(f: Forger) -> Iterable[str]:
    timed_out, failed = "workflowTaskTimedOutEventAttributes", "workflowTaskFailedEventAttributes"

    def fail(events: list[Row]) -> None:
        for event in events:
            if body := event.pop(timed_out, None):
                cause = "WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR"
                event |= {"eventType": "EVENT_TYPE_WORKFLOW_TASK_FAILED"}
                event[failed] = body | {"cause": cause}

    for job_id in f.order:
        f.history(job_id, fail)
    return ()


@forgery
def a_film_that_is_a_page(f: Forger) -> Iterable[str]:
    """By its record and its history."""
    job_id, other = f.job(), {"media_type": "text/html"}
    f.set(raw.STATES, "record", "assets", "video", of=job_id, **other)

    def change(body: Row) -> None:
        if str(body["asset_url"]).endswith("/video"):
            body["asset"].update(other)

    return f.results(job_id, change)


@forgery_of("workers-killed")
def a_worker_that_goes_on_though_it_was_killed(f: Forger) -> Iterable[str]:
    """Every worker of the first job takes part in the last one, too."""
    name = _worker(f)

    def go_on(events: list[Row]) -> None:
        for event in events:
            if body := event.get("activityTaskStartedEventAttributes"):
                body["identity"] = name

    f.history(f.order[-1], go_on)
    return ()


@forgery_of("kling")
def limits_that_the_job_was_not_given(f: Forger) -> Iterable[str]:
    def hurry(body: Row) -> None:
        if limits := (body.get("order") or body).get("limits"):
            limits["poll"] = 9.0

    return f.orders(f.job(), hurry)


@forgery
def a_hold_that_was_never_looked_at(f: Forger) -> Iterable[str]:
    job_id = f.job()
    f.edit(raw.SLOTS, lambda rows: _without(rows, job_id))
    return ()


def _without(rows: list[Row], job_id: str) -> None:
    rows[:] = [row for row in rows if job_id not in row["holders"]]


forgeries(
    {
        "a job that a worker started": lambda f: _started(f, identity=_worker(f)),
        "a run with an end of its own": lambda f: _started(f, workflowExecutionTimeout="5s"),
        "an end that a worker signalled": lambda f: _signalled(
            f, lambda signal: signal.update(identity=_worker(f))
        ),
        "an end that was signalled as another one": lambda f: _signalled(
            f, lambda signal: rewrite(signal["input"], lambda end: end.update(updated_at=1))
        ),
    }
)
