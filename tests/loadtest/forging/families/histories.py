"""Lies about Temporal's histories, and whole books that are gone."""

import shutil
from collections.abc import Callable, Iterable

from loadtest.books import raw
from tests.loadtest.forging.kit import (
    FORGERIES,
    Forger,
    Forgery,
    Row,
    forgeries,
    forgery,
    forgery_of,
    rewrite,
)
from tests.loadtest.synthetic import signal_of

CLOSED = "EVENT_TYPE_WORKFLOW_EXECUTION_"


@forgery
def a_list_of_runs_that_says_failed(f: Forger) -> Iterable[str]:
    job_id, status = f.job(), f.random.choice(("FAILED", "TERMINATED", "TIMED_OUT"))
    f.each(raw.EXECUTIONS, lambda row: row.update(status=status), of=job_id)
    return [job_id]


@forgery
def a_history_that_says_failed(f: Forger) -> Iterable[str]:
    job_id = f.job()
    f.history(job_id, lambda events: events[-1].update(eventType=f"{CLOSED}FAILED"))
    return [job_id]


@forgery
def a_permit_that_the_worker_sent(f: Forger) -> Iterable[str]:
    job_id = f.job()

    def send(events: list[Row]) -> None:
        began = (event.get("workflowTaskStartedEventAttributes") for event in events)
        worker = next(filter(None, began))["identity"]
        for event in events:
            if signal_of(event) == "granted:job":
                event["workflowExecutionSignaledEventAttributes"]["identity"] = worker

    f.history(job_id, send)
    return [job_id]


@forgery_of("slow-machine")
def an_order_of_another_prompt(f: Forger) -> Iterable[str]:
    job_id = f.order[0]
    f.orders(job_id, lambda body: "inputs" in body and body["inputs"].update(prompt="a dog"))
    return [job_id]


@forgery
def a_third_try_without_the_first_two(f: Forger) -> Iterable[str]:
    job_id = f.job()

    def count(events: list[Row]) -> None:
        for event in events:
            if "activityTaskStartedEventAttributes" in event:
                event["activityTaskStartedEventAttributes"]["attempt"] = 3

    f.history(job_id, count)
    return [job_id]


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
    name = "job-000000000000000000000000"
    shutil.copy(f.folder.histories / f"{f.job()}.json", f.folder.histories / f"{name}.json")
    return [name]


@forgery
def a_history_that_lacks_events(f: Forger) -> Iterable[str]:
    job_id, place = f.job(), f.random.randrange(1, 20)
    f.history(job_id, lambda events: events.pop(place))
    return [job_id]


@forgery
def a_history_cut_short(f: Forger) -> Iterable[str]:
    job_id = f.job()
    f.history(job_id, lambda events: events.__delitem__(slice(-5, None)))
    return [job_id]


@forgery
def a_history_that_is_no_json(f: Forger) -> Iterable[str]:
    job_id = f.job()
    (f.folder.histories / f"{job_id}.json").write_text("{", "utf-8")
    return [job_id]


@forgery
def a_signal_that_only_the_history_knows(f: Forger) -> Iterable[str]:
    job_id = f.job()

    def change(events: list[Row]) -> None:
        event = next(e for e in events if "workflowExecutionSignaledEventAttributes" in e)
        event["workflowExecutionSignaledEventAttributes"]["signalName"] = "resume"

    f.history(job_id, change)
    return [job_id]


@forgery
def no_permit_in_any_history(f: Forger) -> Iterable[str]:
    def rename(event: Row) -> None:
        event["workflowExecutionSignaledEventAttributes"]["signalName"] = "resume"

    for job_id in f.order:
        f.signals(job_id, "granted:job", rename)
    return f.order[:1]


@forgery
def permits_that_fall(f: Forger) -> Iterable[str]:
    job_id = f.job()

    def change(body: Row) -> None:
        if "token" in body:
            body["token"] -= 1000

    f.orders(job_id, change)
    f.signals(
        job_id,
        "granted:job",
        lambda event: rewrite(event["workflowExecutionSignaledEventAttributes"]["input"], change),
    )
    for name in raw.LEDGERS.values():
        f.each(name, lambda row: row.update(token=row["token"] - 1000), of=job_id)
    f.each(
        raw.STATES, lambda row: row["record"].update(token=row["record"]["token"] - 1000), of=job_id
    )
    return [job_id]


@forgery
def a_permit_of_another_number_in_the_record(f: Forger) -> Iterable[str]:
    return f.of_any_job(
        raw.STATES, lambda row: row["record"].update(token=row["record"]["token"] + 1)
    )


@forgery
def a_replay_that_failed(f: Forger) -> Iterable[str]:
    job_id = f.job()
    f.json(raw.REPLAY, lambda body: body.update(failures={job_id: "no"}))
    return [job_id]


@forgery
def a_task_that_only_the_history_knows(f: Forger) -> Iterable[str]:
    job_id, key = f.job(), f.random.choice(("asset", "accepted_at"))
    f.results(job_id, lambda body: body.update(vendor_id="other"), key=key)
    return [job_id]


@forgery
def another_file_in_the_history(f: Forger) -> Iterable[str]:
    job_id = f.job()
    f.results(job_id, lambda body: body["asset"].update(sha256="0" * 64))
    return [job_id]


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


forgeries(
    {
        "another run in the list": lambda f: f.of_any_job(
            raw.EXECUTIONS, lambda row: row.update(run_id="another")
        ),
        "another end in the list": lambda f: f.of_any_job(
            raw.EXECUTIONS, lambda row: row.update(closed=row["closed"] - 0.2)
        ),
        "a record of another run": lambda f: f.of_any_job(
            raw.STATES, lambda row: row["record"].update(run_id="another")
        ),
    }
)
