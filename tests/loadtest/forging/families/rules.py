"""Lies about fault rules, about the order of waiting jobs, and about what would be taken over."""

import json
from collections.abc import Iterable

from loadtest.books import raw
from tests.loadtest.forging.kit import (
    LEDGERS,
    Forger,
    Row,
    forgery,
    forgery_of,
    moved,
    rewrite,
    shift,
)

VIDEO = LEDGERS[1]
SCHEDULED = "activityTaskScheduledEventAttributes"
SIGNALS = "signalExternalWorkflowExecutionInitiatedEventAttributes"


def _counted(f: Forger, service: str, more: int) -> None:
    """The mock has injected so many faults more."""

    def count(vendors: Row) -> None:
        vendors[service]["stats"]["faults_injected"] += more
        for name in ("faults_recorded", "faults_remembered"):
            vendors[service][name] += more

    f.json(raw.VENDORS, count)


@forgery_of("everything-at-once")
def a_refused_poll_that_was_another_one(f: Forger) -> Iterable[str]:
    rows = f.rows(raw.FAULTS)
    refused = next(row for row in rows if (row["where"], row["do"]) == ("poll", "refuse"))
    refused["event"] += 1
    f.put(raw.FAULTS, rows)
    return [refused["external_id"].split(".")[0]]


@forgery_of("flaky-polls")
def a_spoilt_poll_that_no_trace_has(f: Forger) -> Iterable[str]:
    """It is neither the first poll of its job, nor the last one that its rule has met."""
    rows = f.rows(raw.FAULTS)
    last = {(row["rule"], row["job_key"]): row["event"] for row in rows if row["where"] == "poll"}
    hidden = next(row for row in rows if 1 < row["event"] < last[row["rule"], row["job_key"]])
    f.put(raw.FAULTS, [row for row in rows if row is not hidden])
    _counted(f, hidden["service"], -1)
    return [hidden["external_id"].split(".")[0]]


@forgery_of("everything-at-once")
def a_disturbed_submit_that_no_trace_has(f: Forger) -> Iterable[str]:
    rows = f.rows(raw.FAULTS)
    hidden = next(
        r for r in rows if (r["where"], r["do"], r["event"]) == ("submit", "lose-reply", 1)
    )
    f.put(raw.FAULTS, [row for row in rows if row is not hidden])
    _counted(f, hidden["service"], -1)
    return [hidden["external_id"].split(".")[0]]


@forgery
def a_damaged_result_that_no_job_got(f: Forger) -> Iterable[str]:
    """A rule for one result is armed, and met a job that was not the first."""
    rule = {"name": "cut", "where": "result", "do": "truncate", "until": {"count": 1}}

    def arm(run: Row) -> None:
        run["plan"]["faults"] = [json.dumps(rule)]
        run["faults"]["image"] = {"seed": run["plan"]["seed"], "rules": [rule]}

    f.json(raw.RUN, arm)
    made = next(r for r in f.rows(LEDGERS[0]) if r["external_id"].startswith(f.order[2]))
    names = ("job_key", "job_id", "external_id", "attempt", "prompt")
    row = {name: made[name] for name in names} | {"at": moved(made["finished_at"], 0.01)}
    row |= {"service": "image", "seq": 1, "rule": "cut", "where": "result", "do": "truncate"}
    f.put(raw.FAULTS, [row | {"with": {}, "status": None, "event": 1}])
    _counted(f, "image", 1)
    return [f.order[0]]


@forgery_of("duplicate-callbacks")
def a_repeated_callback_that_came_once(f: Forger) -> Iterable[str]:
    [job_id] = f.set(VIDEO, callbacks=lambda sent: [r for r in sent if r["note"] != "repeated"])
    f.drop(raw.RECEIPTS, of=job_id, fate="duplicate")
    rows = f.rows(raw.FAULTS)
    left = [row for row in rows if not row["external_id"].startswith(job_id)]
    f.put(raw.FAULTS, left)
    _counted(f, "video", len(left) - len(rows))
    return [job_id]


@forgery_of("lost-callbacks")
def an_end_after_its_callback_was_lost(f: Forger) -> Iterable[str]:
    """A video ends later, and its poll was not late."""

    def later(row: Row) -> None:
        shift(row, 0.3, only=("finished",))
        row["seconds"] += 0.3

    return f.of_any_job(VIDEO, later)


@forgery_of("workers-killed")
def a_change_that_no_worker_was_given_to_make(f: Forger) -> Iterable[str]:
    """A task of the job had waited in vain for the worker that was killed."""
    for job_id in f.order:
        events = json.loads((f.folder.histories / f"{job_id}.json").read_text("utf-8"))["events"]
        bodies = [event.get("workflowTaskTimedOutEventAttributes") for event in events]
        if any(bodies) and not any(body.get("startedEventId") for body in filter(None, bodies)):
            return f.set(raw.STATES, "record", "transitions", 1, of=job_id, note="something else")
    raise AssertionError("no job waited for a worker that was killed")


@forgery_of("gates")
def two_waiting_jobs_in_the_other_order(f: Forger) -> Iterable[str]:
    """Each sample of the slot shows them so."""
    one, other = f.order[-3:-1]

    def swap(row: Row) -> None:
        places = row["places"]
        if None not in (places.get(one), places.get(other)):
            places[one], places[other] = places[other], places[one]

    rows = f.rows(raw.SLOTS)
    for row in rows:
        swap(row)
    f.put(raw.SLOTS, rows)
    return [one, other]


@forgery
def a_wait_that_no_other_worker_would_take_over(f: Forger) -> Iterable[str]:
    def once(events: list[Row]) -> None:
        for event in events:
            if body := event.get(SCHEDULED):
                body["heartbeatTimeout"] = "0s"

    return f.history(f.job(), once)


@forgery_of("stuck-at-99")
def a_clean_up_that_another_worker_would_take_over_late(f: Forger) -> Iterable[str]:
    def rarely(events: list[Row]) -> None:
        for event in events:
            body = event.get(SCHEDULED) or {}
            if body.get("activityType") == {"name": "drain_job"}:
                body["heartbeatTimeout"] = "222s"

    for job_id in f.order:
        f.history(job_id, rarely)
    return f.order


@forgery_of("stuck-at-99")
def a_task_that_a_clean_up_had_found(f: Forger) -> Iterable[str]:
    """The record lacks it."""
    ended = [row["job"]["job_id"] for row in f.rows(raw.JOBS) if row["job"]["error"]]
    for job_id in ended:
        f.set(raw.STATES, "record", of=job_id, tasks={})
    return ended


@forgery
def tries_that_would_come_seconds_later(f: Forger) -> Iterable[str]:
    def slowly(events: list[Row]) -> None:
        for event in events:
            if body := event.get(SCHEDULED):
                body["retryPolicy"]["initialInterval"] = "3s"

    return f.history(f.job(), slowly)


@forgery
def a_job_without_a_percent_in_the_beginning(f: Forger) -> Iterable[str]:
    def begin(events: list[Row]) -> None:
        began = events[0]["workflowExecutionStartedEventAttributes"]
        del began["searchAttributes"]["indexedFields"]["CustomProgress"]

    return f.history(f.job(), begin)


@forgery
def an_end_that_was_taken_for_known_before_its_callback(f: Forger) -> Iterable[str]:
    return f.orders(f.job(), lambda body: "hinted" in body and body.update(hinted=True))


@forgery_of("gates")
def a_gate_that_was_not_given_back(f: Forger) -> Iterable[str]:
    """The release names another permit, which the semaphore ignores."""

    def other(events: list[Row]) -> None:
        for event in events:
            if body := event.get(SIGNALS):
                rewrite(body["input"], lambda permit: permit.update(token=permit["token"] - 1))

    return f.history(f.job(), other)


@forgery_of("gates")
def a_gate_whose_release_is_another_signal(f: Forger) -> Iterable[str]:
    def other(events: list[Row]) -> None:
        for event in events:
            if body := event.get(SIGNALS):
                body["signalName"] = "withdraw"

    return f.history(f.job(), other)
