"""Lies about processes: which worker did what, which one died, and what a mock was asked to do."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from loadtest.books import raw
from loadtest.times import instant
from tests.loadtest.forging.kit import (
    LEDGERS,
    SIGNALED,
    Forger,
    Row,
    forgeries,
    forgery,
    forgery_of,
    job_in,
    moved,
    rewrite,
    shift,
)

IMAGE, VIDEO = LEDGERS
QUEUE = re.compile(r'"name": ?"([^"-]+@[^"-]+)-([0-9a-f]{32})"')
STARTED = "activityTaskStartedEventAttributes"


@forgery
def a_second_worker_that_showed_no_metrics(f: Forger) -> Iterable[str]:
    """It took the tasks of two jobs, while the other one went on."""
    for place in (1, 3):
        path = f.folder.histories / f"{f.order[place]}.json"
        text = path.read_text("utf-8")
        events = (
            event.get("workflowTaskStartedEventAttributes") for event in json.loads(text)["events"]
        )
        name = next(filter(None, events))["identity"]
        path.write_text(text.replace(name, f"9{name}"), "utf-8")
    return ()


@forgery
def a_worker_on_a_second_machine(f: Forger) -> Iterable[str]:
    """In one history its process is that of another host."""
    path = f.folder.histories / f"{f.order[2]}.json"
    text = path.read_text("utf-8")
    tasks = (event.get(STARTED) for event in json.loads(text)["events"])
    name = next(filter(None, tasks))["identity"]
    path.write_text(text.replace(name, f"{name.partition('@')[0]}@another"), "utf-8")
    return ()


@forgery_of("hopeless-generations")
def a_worker_that_took_over_while_the_other_went_on(f: Forger) -> Iterable[str]:
    """One job waits in its worker's own queue; from then on the other worker has it."""
    paths = [f.folder.histories / f"{job_id}.json" for job_id in f.order]
    first, *queues = dict.fromkeys(QUEUE.findall(" ".join(map(Path.read_text, paths))))
    other = next(queue for queue in queues if queue[0] != first[0])

    def take_over(events: list[Row]) -> None:
        waits = next(place for place, each in enumerate(events) if "STICKY" in json.dumps(each))
        rest = json.dumps(events[waits + 1 :])
        for old, new in (("-".join(first), "-".join(other)), (first[0], other[0])):
            rest = rest.replace(old, new)
        events[waits + 1 :] = json.loads(rest)

    [job_id, *_] = (path.stem for path in paths if "-".join(first) in path.read_text("utf-8"))
    return f.history(job_id, take_over)


@forgery_of("slow-machine")
def a_task_that_ran_out_of_time_too_early(f: Forger) -> Iterable[str]:
    def longer(events: list[Row]) -> None:
        for event in events:
            if task := event.get("workflowTaskScheduledEventAttributes"):
                task["startToCloseTimeout"] = "900s"

    for job_id in f.order:
        f.history(job_id, longer)
    return f.order


@forgery
def a_permit_that_no_run_had(f: Forger) -> Iterable[str]:
    """The permits from one job on are one higher in each book."""

    def rise(row: Row) -> None:
        if isinstance(row.get("token"), int):
            row["token"] += 1

    place = f.random.randrange(2, len(f.order) - 1)
    for job_id in f.order[place:]:
        f.signals(job_id, "granted:job", lambda event: rewrite(event[SIGNALED]["input"], rise))
        f.orders(job_id, lambda body: rise(body.get("order") or body))
        f.each(raw.STATES, lambda row: rise(row["record"]), of=job_id)
        for name in LEDGERS:
            f.each(name, rise, of=job_id)
    return [f.order[place]]


@forgery
def a_run_with_strikes_that_was_none(f: Forger) -> Iterable[str]:
    f.folder.write(raw.CHAOS, {"struck": [{"kind": "kill", "target": "mock-kling"}]})
    return ()


@forgery
def faults_of_the_plan_that_were_never_armed(f: Forger) -> Iterable[str]:
    f.json(raw.RUN, lambda run: run["plan"].update(faults=['{"preset": "slow-vendor"}']))
    return ()


@forgery_of("everything-at-once")
def a_slow_generation_that_was_to_be_slower(f: Forger) -> Iterable[str]:
    def slower(row: Row) -> None:
        if (row["where"], row["do"]) == ("start", "slow"):
            row["with"]["factor"] *= 5

    f.each(raw.FAULTS, slower)
    return ()


@forgery_of("failing-generations")
def a_note_of_an_attempt_that_did_not_follow(f: Forger) -> Iterable[str]:
    def last(row: Row) -> None:
        for each in row["record"]["transitions"]:
            each["note"] = each["note"].replace("attempt 2 of 4 follows", "attempt 4 of 4 follows")

    f.each(raw.STATES, last)
    return ()


@forgery_of("paid-but-reply-lost")
def a_call_that_its_vendor_had_no_time_for(f: Forger) -> Iterable[str]:
    def busy(events: list[Row]) -> None:
        for event in events:
            if (failure := (event.get(STARTED) or {}).get("lastFailure")) is not None:
                failure["applicationFailureInfo"]["type"] = "vendor_busy"

    for job_id in f.order:
        f.history(job_id, busy)
    return f.order


def _less_time(events: list[Row]) -> None:
    timers = (event.get("timerStartedEventAttributes") for event in events)
    next(filter(None, timers))["startToFireTimeout"] = "600s"


def _again(f: Forger) -> list[str]:
    """A delivery that was answered is there once more, and its receipt, too."""

    def twice(sent: list[Row]) -> list[Row]:
        return [*sent, sent[-1] | {"sent_at": moved(sent[-1]["sent_at"], 0.01)}]

    [job_id] = f.set(VIDEO, callbacks=twice)

    def receive(rows: list[Row]) -> None:
        own = (row for row in rows if job_in(row) == job_id)
        end = next(row for row in own if row["task_status"] == "succeed")
        at = moved(end["received_at"], 0.01)
        rows.append(end | {"fate": "duplicate", "received_at": at})

    f.edit(raw.RECEIPTS, receive)
    return [job_id]


def _told_before_it_began(f: Forger) -> list[str]:
    def later(row: Row) -> None:
        begun = instant(row["started_at"]) or 0.0
        half = ((instant(row["finished_at"]) or 0.0) - begun) / 2
        shift(row, half, only=("started",))

    return f.of_any_job(VIDEO, later)


forgeries(
    {
        "a job that has less time than its limit": lambda f: f.history(f.job(), _less_time),
        "an answered callback that was sent again": _again,
        "a beginning that was told before it": _told_before_it_began,
        "a receiver that broke over a callback": lambda f: f.set(
            VIDEO, "callbacks", 0, reply=500, error=None
        ),
    }
)
