"""Lies about ledgers and attempts."""

import copy
from collections.abc import Iterable

from loadtest.books import raw
from tests.loadtest.forging.kit import LEDGERS, Forger, Row, forgeries, forgery, job_in

VIDEO, IMAGE = raw.LEDGERS["video"], raw.LEDGERS["image"]


def _more(f: Forger, name: str, job_id: str, **other: object) -> None:
    """A second row beside a job's own."""
    rows = f.rows(name)
    row = copy.deepcopy(next(row for row in rows if job_in(row) == job_id))
    row |= {"job_id": f"task-{f.random.getrandbits(40)}", "callbacks": [], **other}
    f.put(name, [*rows, row])


def _count(f: Forger, step: str, part: str, *, more: dict[str, int]) -> None:
    def change(vendors: Row) -> None:
        for name, by in more.items():
            vendors[step][part][name] += by

    f.json(raw.VENDORS, change)


@forgery
def a_paid_video_without_an_id_of_ours(f: Forger) -> Iterable[str]:
    _more(f, VIDEO, f.job(), external_id=None)
    return ()


@forgery
def a_paid_video_without_an_id_that_is_counted(f: Forger) -> Iterable[str]:
    _more(f, VIDEO, f.job(), external_id=None)
    _count(f, "video", "stats", more={"accepted": 1, "charged": 1})
    _count(f, "video", "verdict", more={"charged": 1})
    return ()


@forgery
def an_id_almost_like_ours(f: Forger) -> Iterable[str]:
    job_id = f.job()
    _more(f, VIDEO, job_id, external_id=f"{job_id}.video.1-again")
    return [job_id]


@forgery
def a_request_that_only_the_ledger_shows(f: Forger) -> Iterable[str]:
    job_id, step = f.job(), f.random.choice(("image", "video"))
    other = {"external_id": f"{job_id}.{step}.2", "attempt": 2, "charged": False}
    _more(f, raw.LEDGERS[step], job_id, outcome="failed", error="no", **other)
    return [job_id]


@forgery
def a_second_charge(f: Forger) -> Iterable[str]:
    job_id, step = f.job(), f.random.choice(("image", "video"))
    _more(f, raw.LEDGERS[step], job_id)
    return [job_id]


@forgery
def a_second_charge_under_the_next_number(f: Forger) -> Iterable[str]:
    job_id, step = f.job(), f.random.choice(("image", "video"))
    _more(f, raw.LEDGERS[step], job_id, external_id=f"{job_id}.{step}.2", attempt=2)
    return [job_id]


@forgery
def an_image_in_the_book_of_videos(f: Forger) -> Iterable[str]:
    job_id = f.job()
    _more(f, VIDEO, job_id, external_id=f"{job_id}.image.2", charged=False)
    return [job_id]


@forgery
def a_generation_for_a_job_that_nobody_knows(f: Forger) -> Iterable[str]:
    _more(f, IMAGE, f.job(), external_id="job-000000000000000000000000.image.1")
    return ["job-000000000000000000000000"]


@forgery
def a_success_that_was_not_charged(f: Forger) -> Iterable[str]:
    job_id = f.job()
    f.each(f.random.choice(LEDGERS), lambda row: row.update(charged=False), of=job_id)
    return [job_id]


@forgery
def a_success_that_was_not_charged_by_any_count(f: Forger) -> Iterable[str]:
    job_id, step = f.job(), f.random.choice(("image", "video"))
    f.each(raw.LEDGERS[step], lambda row: row.update(charged=False), of=job_id)
    _count(f, step, "stats", more={"charged": -1})
    _count(f, step, "verdict", more={"charged": -1})
    return [job_id]


@forgery
def a_second_attempt_that_goes_on_for_ever(f: Forger) -> Iterable[str]:
    job_id, step = f.job(), f.random.choice(("image", "video"))
    claim(f, job_id, step)
    ended = {"outcome": None, "finished_at": None, "finished_ts": None, "charged": False}
    _more(f, raw.LEDGERS[step], job_id, external_id=f"{job_id}.{step}.2", **ended)
    _count(f, step, "stats", more={"accepted": 1, "in_flight": 1})
    _count(f, step, "verdict", more={"open": 1})
    return [job_id]


@forgery
def a_task_by_another_name(f: Forger) -> Iterable[str]:
    job_id = f.job()
    f.each(f.random.choice(LEDGERS), lambda row: row.update(job_id="another"), of=job_id)
    return [job_id]


@forgery
def two_jobs_tasks_swapped(f: Forger) -> Iterable[str]:
    pair = f.pair()
    name = f.random.choice(LEDGERS)
    tasks = {job_in(row): row["job_id"] for row in f.rows(name)}
    for one, other in (pair, pair[::-1]):
        f.each(name, lambda row, task=tasks[other]: row.update(job_id=task), of=one)  # type: ignore[misc]
    return pair


@forgery
def a_generation_is_gone(f: Forger) -> Iterable[str]:
    job_id = f.job()
    f.drop(f.random.choice(LEDGERS), of=job_id)
    return [job_id]


@forgery
def a_kept_generation_failed(f: Forger) -> Iterable[str]:
    job_id = f.job()
    change = {"outcome": "failed", "error": "no", "charged": False}
    f.each(f.random.choice(LEDGERS), lambda row: row.update(change), of=job_id)
    return [job_id]


@forgery
def a_generation_has_not_ended(f: Forger) -> Iterable[str]:
    job_id = f.job()
    change = {"outcome": None, "finished_at": None, "finished_ts": None, "charged": False}
    _more(f, VIDEO, job_id, external_id=f"{job_id}.video.2", **change)
    return [job_id]


@forgery
def a_permit_older_than_the_one_before(f: Forger) -> Iterable[str]:
    job_id = f.job()
    for name in LEDGERS:
        f.each(name, lambda row: row.update(token=row["token"] - 1000), of=job_id)
    return [job_id]


@forgery
def more_charged_than_rows(f: Forger) -> Iterable[str]:
    _count(f, f.random.choice(("image", "video")), "stats", more={"charged": 1})
    return ()


@forgery
def more_accepted_than_rows(f: Forger) -> Iterable[str]:
    _count(
        f, f.random.choice(("image", "video")), "stats", more={"accepted": f.random.choice((-1, 1))}
    )
    return ()


@forgery
def two_in_flight(f: Forger) -> Iterable[str]:
    _count(f, f.random.choice(("image", "video")), "stats", more={"in_flight": 2})
    return ()


@forgery
def two_were_in_flight(f: Forger) -> Iterable[str]:
    _count(f, f.random.choice(("image", "video")), "stats", more={"max_in_flight": 1})
    return ()


@forgery
def the_bill_is_higher(f: Forger) -> Iterable[str]:
    _count(f, f.random.choice(("image", "video")), "verdict", more={"charged": 1})
    return ()


@forgery
def the_bill_knows_an_open_task(f: Forger) -> Iterable[str]:
    _count(f, f.random.choice(("image", "video")), "verdict", more={"open": 1})
    return ()


@forgery
def a_duplicate_was_counted(f: Forger) -> Iterable[str]:
    _count(f, f.random.choice(("image", "video")), "stats", more={"duplicates": 1})
    return ()


STEPS = ("image", "video")


def _tell(f: Forger, name: str, key: str, *, number: int) -> Iterable[str]:
    job_id, step = f.job(), f.random.choice(STEPS)
    f.each(name, lambda row: row[key]["attempts"].update({step: number}), of=job_id)
    return [job_id]


@forgery
def more_in_list_and_record(f: Forger) -> Iterable[str]:
    job_id, step = f.job(), f.random.choice(STEPS)

    def change(row: Row) -> None:
        row["record"]["attempts"][step] = 2
        for each in row["record"]["transitions"]:
            if each["step"] == step:
                each["attempt"] = 2

    f.each(raw.JOBS, lambda row: row["job"]["attempts"].update({step: 2}), of=job_id)
    f.each(raw.STATES, change, of=job_id)
    return [job_id]


def claim(f: Forger, job_id: str, step: str) -> None:
    """A second attempt at a stage, in every book but the vendor's."""

    def change(row: Row) -> None:
        row["record"]["attempts"][step] = 2
        for each in row["record"]["transitions"]:
            if each["step"] == step and (each["percent"] or step == "image"):
                each["attempt"] = 2

    f.each(raw.JOBS, lambda row: row["job"]["attempts"].update({step: 2}), of=job_id)
    f.each(raw.STATES, change, of=job_id)
    f.orders(job_id, lambda body: body.update(attempt=2) if body.get("stage") == step else None)


@forgery
def more_everywhere_but_at_the_vendor(f: Forger) -> Iterable[str]:
    job_id = f.job()
    claim(f, job_id, f.random.choice(STEPS))
    return [job_id]


@forgery
def more_in_the_history(f: Forger) -> Iterable[str]:
    job_id, step = f.job(), f.random.choice(STEPS)
    f.orders(job_id, lambda body: body.update(attempt=2) if body.get("stage") == step else None)
    return [job_id]


@forgery
def none_in_any_history(f: Forger) -> Iterable[str]:
    for job_id in f.order:
        f.orders(job_id, lambda body: body.pop("attempt", None))
    return f.order[:1]


@forgery
def another_number_at_the_vendor(f: Forger) -> Iterable[str]:
    job_id, step = f.job(), f.random.choice(STEPS)
    other = {"external_id": f"{job_id}.{step}.2", "attempt": 2}
    f.each(raw.LEDGERS[step], lambda row: row.update(other), of=job_id)
    return [job_id]


forgeries(
    {
        "another permit for the video": lambda f: f.of_any_job(
            VIDEO, lambda row: row.update(token=row["token"] + 1)
        ),
        "more in the list": lambda f: _tell(f, raw.JOBS, "job", number=2),
        "fewer in the list": lambda f: _tell(f, raw.JOBS, "job", number=0),
        "more in the record": lambda f: _tell(f, raw.STATES, "record", number=3),
        "fewer in the record": lambda f: _tell(f, raw.STATES, "record", number=0),
    }
)
