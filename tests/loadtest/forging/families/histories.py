"""Lies about Temporal's histories, and whole books that are gone."""

import shutil
from collections.abc import Callable, Iterable

from loadtest.books import raw
from tests.loadtest.forging.kit import (
    FORGERIES,
    SIGNALED,
    Forger,
    Forgery,
    Row,
    forgeries,
    forgery,
    forgery_of,
    rewrite,
)
from tests.loadtest.synthetic import payload

STRANGER = "job-000000000000000000000000"


@forgery
def a_permit_that_the_worker_sent(f: Forger) -> Iterable[str]:
    workers: list[str] = []

    def look(events: list[Row]) -> None:
        began = (event.get("workflowTaskStartedEventAttributes") for event in events)
        workers.append(next(filter(None, began))["identity"])

    [job_id] = f.history(f.job(), look)
    change = {"identity": workers[0]}
    return f.signals(job_id, "granted:job", lambda event: event[SIGNALED].update(change))


@forgery_of("workers-killed")
def a_successor_under_the_name_of_the_killed_worker(f: Forger) -> Iterable[str]:
    names: dict[str, str] = {}

    def rename(events: list[Row]) -> None:
        for event in events:
            if begun := event.get("workflowTaskStartedEventAttributes"):
                names.setdefault(begun["identity"], "")
        for event in events:
            for body in event.values():
                if isinstance(body, dict) and body.get("identity") in names:
                    body["identity"] = next(iter(names))

    for job_id in f.order:
        f.history(job_id, rename)
    return f.order


@forgery
def an_activity_that_was_silent_for_less_than_its_limit(f: Forger) -> Iterable[str]:
    silent = {"timeoutFailureInfo": {"timeoutType": "TIMEOUT_TYPE_HEARTBEAT"}}

    def fail(events: list[Row]) -> None:
        begun = (event.get("activityTaskStartedEventAttributes") for event in events)
        next(filter(None, begun)).update(attempt=2, lastFailure=silent)

    return f.history(f.job(), fail)


@forgery_of("slow-machine")
def an_order_of_another_prompt(f: Forger) -> Iterable[str]:
    return f.orders(
        f.order[0], lambda body: "inputs" in body and body["inputs"].update(prompt="a dog")
    )


def _asked(f: Forger, **other: object) -> list[str]:
    """Each order of a job says something else of how it asked for the slot."""

    def change(body: Row) -> None:
        (body.get("order") or body).get("request", {}).update(other)

    return f.orders(f.job(), change)


@forgery_of("slow-machine")
def an_order_of_another_source(f: Forger) -> Iterable[str]:
    return f.orders(
        f.order[0], lambda body: (body.get("source") or {}).update(url="http://another/")
    )


@forgery
def an_end_that_is_told_with_more_than_happened(f: Forger) -> Iterable[str]:
    return f.renamed(f.job(), "video stored", "video stored, found by the poll")


def _unlimited(events: list[Row]) -> None:
    timer = next(e for e in events if "timerStartedEventAttributes" in e)
    timer["userMetadata"]["summary"] = payload("another timer")


@forgery
def a_third_try_without_the_first_two(f: Forger) -> Iterable[str]:
    def count(events: list[Row]) -> None:
        for event in events:
            if "activityTaskStartedEventAttributes" in event:
                event["activityTaskStartedEventAttributes"]["attempt"] = 3

    return f.history(f.job(), count)


@forgery
def a_history_is_gone(f: Forger) -> Iterable[str]:
    job_id = f.job()
    (f.folder.histories / f"{job_id}.json").unlink()
    return [job_id]


@forgery
def all_histories_are_gone(f: Forger) -> Iterable[str]:
    shutil.rmtree(f.folder.histories)
    f.folder.histories.mkdir()
    return f.order[:1]


@forgery
def a_history_of_another_job(f: Forger) -> Iterable[str]:
    one, other = f.pair()
    shutil.copy(f.folder.histories / f"{other}.json", f.folder.histories / f"{one}.json")
    return [one]


@forgery
def a_link_to_the_video_of_another_job(f: Forger) -> Iterable[str]:
    one, other = f.pair()

    def link(body: Row) -> None:
        if str(body["asset_url"]).endswith("/video"):
            body["asset_url"] = body["asset_url"].replace(one, other)

    def close(events: list[Row]) -> None:
        rewrite(events[-1]["workflowExecutionCompletedEventAttributes"]["result"], link)

    def record(row: Row) -> None:
        for body in (row["record"], *row["record"]["transitions"]):
            link(body)

    f.results(one, link)
    f.history(one, close)
    f.each(raw.JOBS, lambda row: link(row["job"]), of=one)
    f.each(raw.STATES, record, of=one)
    return [one]


@forgery
def a_history_of_nobody(f: Forger) -> Iterable[str]:
    shutil.copy(f.folder.histories / f"{f.job()}.json", f.folder.histories / f"{STRANGER}.json")
    return [STRANGER]


@forgery
def a_history_that_is_no_json(f: Forger) -> Iterable[str]:
    job_id = f.job()
    (f.folder.histories / f"{job_id}.json").write_text("{", "utf-8")
    return [job_id]


@forgery
def a_signal_that_only_the_history_knows(f: Forger) -> Iterable[str]:
    def change(events: list[Row]) -> None:
        next(e for e in events if SIGNALED in e)[SIGNALED]["signalName"] = "resume"

    return f.history(f.job(), change)


@forgery
def permits_that_fall(f: Forger) -> Iterable[str]:
    job_id = f.job()

    def change(body: Row) -> None:
        if "token" in body:
            body["token"] -= 1000

    f.orders(job_id, change)
    f.signals(job_id, "granted:job", lambda event: rewrite(event[SIGNALED]["input"], change))
    for name in raw.LEDGERS.values():
        f.each(name, change, of=job_id)
    f.each(raw.STATES, lambda row: change(row["record"]), of=job_id)
    return [job_id]


@forgery
def a_replay_that_failed(f: Forger) -> Iterable[str]:
    job_id = f.job()
    f.json(raw.REPLAY, lambda body: body.update(failures={job_id: "no"}))
    return [job_id]


@forgery
def a_task_that_only_the_history_knows(f: Forger) -> Iterable[str]:
    job_id, key = f.job(), f.random.choice(("asset", "accepted_at"))
    return f.results(job_id, lambda body: body.update(vendor_id="other"), key=key)


@forgery
def a_priority_that_the_semaphore_alone_knows(f: Forger) -> Iterable[str]:
    def ask(events: list[Row]) -> None:
        memo = events[0]["workflowExecutionStartedEventAttributes"]["memo"]["fields"]
        rewrite({"payloads": [memo["semaphore:job"]]}, lambda body: body.update(priority=1))

    return f.history(f.job(), ask)


@forgery
def a_picture_from_the_address_of_another_jobs(f: Forger) -> Iterable[str]:
    one, other = f.pair()
    sources: list[str] = []
    f.results(other, lambda body: sources.append(body["source_url"]))
    return f.results(one, lambda body: body.update(source_url=sources[0]))


@forgery_of("kling")
def a_first_run_that_had_failed(f: Forger) -> Iterable[str]:
    """The server had counted the bytes of a run without one before it."""
    failure = {"message": "Workflow execution timed out", "timeoutFailureInfo": {}}

    def second(events: list[Row]) -> None:
        began = events[0]["workflowExecutionStartedEventAttributes"]
        began.update(attempt=2, continuedFailure=failure)

    return f.history(f.job(), second)


BOOKS = (
    *(raw.SUBMITS, raw.JOBS, raw.EXECUTIONS, raw.STATES, raw.FILES, raw.RECEIPTS),
    *(raw.LEDGERS["image"], raw.LEDGERS["video"], raw.SLOTS, raw.FRAMES, raw.CLOCKS, raw.STAGES),
    raw.VENDORS,
)


def _emptied(name: str) -> Callable[[Forger], Iterable[str]]:
    def tell(f: Forger) -> Iterable[str]:
        f.folder.write(name, {}) if name.endswith(".json") else f.put(name, [])
        return ()

    return tell


FORGERIES.extend(Forgery(f"without {name}", _emptied(name)) for name in BOOKS)


CLOSED = {"eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_FAILED"}
forgeries(
    {
        "a history that says failed": lambda f: f.history(
            f.job(), lambda events: events[-1].update(CLOSED)
        ),
        "a history that lacks events": lambda f: f.history(
            f.job(), lambda events: events.pop(f.random.randrange(1, 20))
        ),
        "a history cut short": lambda f: f.history(
            f.job(), lambda events: events.__delitem__(slice(-5, None))
        ),
        "no permit in any history": lambda f: f.unsignalled(*f.order, name="granted:job")[:1],
        "another file in the history": lambda f: f.results(
            f.job(), lambda body: body["asset"].update(sha256="0" * 64)
        ),
        "a job without a limit": lambda f: f.history(f.job(), _unlimited),
        "an order that asked with another priority": lambda f: _asked(f, priority=1),
    }
)
