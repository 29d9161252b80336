"""Lies that only a further witness tells: the server's count of its steps, a look at a process, the
seed of a rule, a reply, what a mock waits for."""

import json
from collections.abc import Iterable

from loadtest.books import raw
from tests.loadtest.forging.kit import (
    LEDGERS,
    Forger,
    Row,
    forgeries,
    forgery,
    forgery_of,
    moved,
)

IMAGE, VIDEO = LEDGERS
STARTED = "activityTaskStartedEventAttributes"


def _steps(f: Forger, more: int, *, after: str = "") -> Iterable[str]:
    """The server counts higher from the first event on that follows one of this kind."""

    def count(events: list[Row]) -> None:
        place = next((n for n, e in enumerate(events) if after in json.dumps(e)), 0)
        for event in events[place + bool(after) :]:
            event["taskId"] = str(int(event["taskId"]) + more)

    return f.history(f.job(), count)


@forgery
def a_step_of_the_server_in_two_histories(f: Forger) -> Iterable[str]:
    one, other = f.pair()
    path = f.folder.histories / f"{one}.json"
    last = json.loads(path.read_text("utf-8"))["events"][-1]["taskId"]

    def same(events: list[Row]) -> None:
        events[-1]["taskId"] = last

    f.history(other, same)
    return one, other


@forgery_of("workers-killed")
def a_worker_that_never_died(f: Forger) -> Iterable[str]:
    """It answered all the while, and its processor time rose."""
    rows = f.rows(raw.PROCESSES)
    looks = [row["at"] for row in rows if row["name"] == "api"]
    own = [{"at": at, "name": "worker", "cpu": 50.0 + at - looks[0]} for at in looks]
    f.put(raw.PROCESSES, [row for row in rows if row["name"] != "worker"] + own)
    return ()


@forgery_of("hopeless-generations")
def a_receiver_that_was_not_there_and_went_on(f: Forger) -> Iterable[str]:
    """It had run for long, and two looks found the others only."""

    def lack(rows: list[Row]) -> None:
        receiver = [row for row in rows if row["name"] == "callback"]
        for row in receiver:
            row["cpu"] += 50.0
        for row in receiver[3:5]:
            rows.remove(row)

    f.edit(raw.PROCESSES, lack)
    return ()


@forgery
def a_receiver_that_restarted_and_went_on(f: Forger) -> Iterable[str]:
    def restart(rows: list[Row]) -> None:
        receiver = [row for row in rows if row["name"] == "callback"]
        for row in receiver[len(receiver) // 2 :]:
            row["cpu"] /= 10

    f.edit(raw.PROCESSES, restart)
    return ()


@forgery
def a_call_that_was_repeated_for_nothing(f: Forger) -> Iterable[str]:
    def again(events: list[Row]) -> None:
        body = next(event[STARTED] for event in events if STARTED in event)
        failed = {"message": "it was closed", "applicationFailureInfo": {"type": "unreachable"}}
        body |= {"attempt": 2, "lastFailure": failed}
        scheduled = events[int(body["scheduledEventId"]) - 1]
        options = scheduled["activityTaskScheduledEventAttributes"]["retryPolicy"]
        options["initialInterval"] = "0s"

    return f.history(f.job(), again)


def _unanswered(f: Forger, error: str | None) -> Iterable[str]:
    """The first callback of a job had no answer, and left no receipt."""
    [job_id] = f.set(VIDEO, "callbacks", 0, reply=None, error=error)
    f.drop(raw.RECEIPTS, of=job_id, task_status="processing")
    return [job_id]


@forgery_of("everything-at-once")
def a_plan_without_the_faults_that_it_armed(f: Forger) -> Iterable[str]:
    f.json(raw.RUN, lambda run: run["plan"].update(faults=[]))
    return ()


@forgery_of("everything-at-once")
def a_rule_that_had_met_more_than_all_rules_had(f: Forger) -> Iterable[str]:
    f.json(raw.RUN, lambda run: run["faults"]["video"]["rules"][0].update(fired=99))
    return ()


@forgery
def a_stranger_between_two_permits_of_which_none_is_missing(f: Forger) -> Iterable[str]:
    """The samples of a hold show it, and the API knows it."""
    job_id, other = f.order[3], "job-0123456789abcdef01234567"
    f.folder.append(raw.FOREIGN, [{"job_id": other, "known": True, "finished_at": None}])

    def rename(row: Row) -> None:
        row["holders"] = [other if name == job_id else name for name in row["holders"]]

    rows = f.rows(raw.SLOTS)
    for row in rows:
        rename(row)
    f.put(raw.SLOTS, rows)
    return f.order


def _hours_later(f: Forger) -> Iterable[str]:
    f.json(raw.RUN, lambda run: run.update(ended_at=run["ended_at"] + 3600))
    return ()


@forgery
def a_history_that_does_not_replay(f: Forger) -> Iterable[str]:
    """Two commands of one task came in the other order."""

    def swap(events: list[Row]) -> None:
        place = next(n for n, e in enumerate(events) if "timerStartedEventAttributes" in e)
        one, other = events[place - 1 : place + 1]
        names = ("eventId", "eventTime", "taskId")
        kept = [{name: event[name] for name in names} for event in (one, other)]
        events[place - 1 : place + 1] = other | kept[0], one | kept[1]
        for body in (body for event in events for body in event.values()):
            if isinstance(body, dict) and body.get("scheduledEventId") == one["eventId"]:
                body["scheduledEventId"] = kept[1]["eventId"]

    return f.history(f.job(), swap)


@forgery
def a_film_of_another_size(f: Forger) -> Iterable[str]:
    """By the stored file, its record and its history."""
    job_id, size = f.job(), 9_000_000
    f.each(raw.FILES, lambda row: row["kind"] == "video" and row.update(bytes=size), of=job_id)
    f.set(raw.STATES, "record", "assets", "video", of=job_id, size=size)

    def change(body: Row) -> None:
        if str(body["asset_url"]).endswith("/video"):
            body["asset"].update(size=size)

    f.results(job_id, change)
    return ()


forgeries(
    {
        "a run that ended hours later": _hours_later,
        "a submission that was tried too often for its time": lambda f: f.set(
            raw.SUBMITS, tries=3, answered_at=lambda at: at + 0.4
        ),
        "steps of the server that came later": lambda f: _steps(f, 200),
        "a task that took no step of the server": lambda f: _steps(f, -2, after="KIND_STICKY"),
        "a callback that a receiver at work refused": lambda f: _unanswered(f, "ConnectError"),
        "a callback that was waited for no time": lambda f: _unanswered(f, "ReadTimeout"),
        "a callback that nobody waited for": lambda f: _unanswered(f, None),
        "an end that was refused and applied": lambda f: f.set(
            VIDEO, "callbacks", -1, reply=503, error=None
        ),
        "an end that its vendor told after the job had it": lambda f: f.of_any_job(
            IMAGE, lambda row: row.update(reported_at=moved(row["finished_at"], 2.0))
        ),
    }
)
