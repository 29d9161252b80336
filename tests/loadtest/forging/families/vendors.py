"""Lies about ledgers and attempts."""

import copy
from collections.abc import Iterable
from typing import Any

from loadtest.books import raw
from tests.loadtest.forging.kit import Forger, Row, forgeries, forgery, job_in

VIDEO, IMAGE = raw.LEDGERS["video"], raw.LEDGERS["image"]
STEPS = ("image", "video")
STRANGER = "job-000000000000000000000000"
OPEN = {"outcome": None, "finished_at": None, "finished_ts": None, "charged": False}


def _more(f: Forger, name: str, job_id: str, **other: Any) -> list[str]:
    """A second row beside a job's own."""
    rows = f.rows(name)
    row = copy.deepcopy(next(row for row in rows if job_in(row) == job_id))
    row |= {"job_id": f"task-{f.random.getrandbits(40)}", "callbacks": [], **other}
    f.put(name, [*rows, row])
    return [job_id]


def _next(f: Forger, step: str, job_id: str, **other: Any) -> list[str]:
    """A second row under the next number."""
    other |= {"external_id": f"{job_id}.{step}.2", "attempt": 2}
    return _more(f, raw.LEDGERS[step], job_id, **other)


def _count(f: Forger, step: str, part: str, **more: int) -> Iterable[str]:
    """A mock counts so many more than it did."""

    def change(vendors: Row) -> None:
        for name, by in more.items():
            vendors[step][part][name] += by

    f.json(raw.VENDORS, change)
    return ()


def _complaint(f: Forger, name: str, *, ok: bool, entry: Row | None = None) -> list[str]:
    """The bill of the video's vendor names a generation of a job, in its own way or by our id."""
    row = f.random.choice([row for row in f.rows(VIDEO) if job_in(row) in f.order])
    told = row["external_id"] if entry is None else entry | {"job_id": row["job_id"]}
    f.json(raw.VENDORS, lambda all_: all_["video"]["verdict"].update({name: [told], "ok": ok}))
    return [job_in(row)]


@forgery
def a_paid_video_without_an_id_of_ours(f: Forger) -> Iterable[str]:
    _more(f, VIDEO, f.job(), external_id=None)
    return ()


@forgery
def an_image_that_the_video_service_made(f: Forger) -> Iterable[str]:
    """Its row is in the other ledger, and the totals say so."""
    job_id = f.job()
    f.put(VIDEO, [*f.rows(VIDEO), *(row for row in f.rows(IMAGE) if job_in(row) == job_id)])
    for step, by in (("image", -1), ("video", 1)):
        _count(f, step, "stats", accepted=by, charged=by)
        _count(f, step, "verdict", charged=by)
    return f.drop(IMAGE, of=job_id)


@forgery
def a_paid_video_without_an_id_that_is_counted(f: Forger) -> Iterable[str]:
    _more(f, VIDEO, f.job(), external_id=None)
    _count(f, "video", "stats", accepted=1, charged=1)
    return _count(f, "video", "verdict", charged=1)


@forgery
def an_id_almost_like_ours(f: Forger) -> Iterable[str]:
    job_id = f.job()
    return _more(f, VIDEO, job_id, external_id=f"{job_id}.video.1-again")


@forgery
def an_image_in_the_book_of_videos(f: Forger) -> Iterable[str]:
    job_id = f.job()
    return _more(f, VIDEO, job_id, external_id=f"{job_id}.image.2", charged=False)


@forgery
def a_generation_for_a_job_that_nobody_knows(f: Forger) -> Iterable[str]:
    _more(f, IMAGE, f.job(), external_id=f"{STRANGER}.image.1")
    return [STRANGER]


@forgery
def a_success_that_was_not_charged_by_any_count(f: Forger) -> Iterable[str]:
    step = f.random.choice(STEPS)
    _count(f, step, "stats", charged=-1)
    _count(f, step, "verdict", charged=-1)
    return f.set(raw.LEDGERS[step], charged=False)


def claim(f: Forger, job_id: str, step: str) -> list[str]:
    """A second attempt at a stage, in every book but the vendor's."""
    more_in_list_and_record(f, job_id, step)
    return f.orders(
        job_id, lambda body: body.update(attempt=2) if body.get("stage") == step else None
    )


def more_in_list_and_record(f: Forger, job_id: str, step: str) -> list[str]:
    def change(row: Row) -> None:
        row["record"]["attempts"][step] = 2
        for each in row["record"]["transitions"]:
            if each["step"] == step and (each["percent"] or step == "image"):
                each["attempt"] = 2

    f.set(raw.JOBS, "job", "attempts", of=job_id, **{step: 2})
    f.each(raw.STATES, change, of=job_id)
    return [job_id]


@forgery
def a_second_attempt_that_goes_on_for_ever(f: Forger) -> Iterable[str]:
    job_id, step = f.job(), f.random.choice(STEPS)
    claim(f, job_id, step)
    _more(f, raw.LEDGERS[step], job_id, external_id=f"{job_id}.{step}.2", **OPEN)
    _count(f, step, "stats", accepted=1, in_flight=1)
    _count(f, step, "verdict", open=1)
    return [job_id]


@forgery
def two_jobs_tasks_swapped(f: Forger) -> Iterable[str]:
    (one, other), name = f.pair(), f.ledger()
    tasks = {job_in(row): row["job_id"] for row in f.rows(name)}
    return [*f.set(name, of=one, job_id=tasks[other]), *f.set(name, of=other, job_id=tasks[one])]


@forgery
def a_permit_older_than_the_one_before(f: Forger) -> Iterable[str]:
    [job_id] = f.set(IMAGE, token=lambda number: number - 1000)
    return f.set(VIDEO, of=job_id, token=lambda number: number - 1000)


@forgery
def none_in_any_history(f: Forger) -> Iterable[str]:
    for job_id in f.order:
        f.orders(job_id, lambda body: body.pop("attempt", None))
    return f.order[:1]


@forgery
def more_in_the_history(f: Forger) -> Iterable[str]:
    step = f.random.choice(STEPS)
    return f.orders(
        f.job(), lambda body: body.update(attempt=2) if body.get("stage") == step else None
    )


@forgery
def another_number_at_the_vendor(f: Forger) -> Iterable[str]:
    job_id, step = f.job(), f.random.choice(STEPS)
    other = {"external_id": f"{job_id}.{step}.2", "attempt": 2}
    return f.set(raw.LEDGERS[step], of=job_id, **other)


def _tell(f: Forger, name: str, key: str, number: Any) -> Iterable[str]:
    return f.set(name, key, "attempts", **{f.random.choice(STEPS): number})


def _step(f: Forger) -> str:
    return f.random.choice(STEPS)


FAILED: dict[str, Any] = {"outcome": "failed", "error": "no", "charged": False}
forgeries(
    {
        "a request that only the ledger shows": lambda f: _next(f, _step(f), f.job(), **FAILED),
        "a second charge": lambda f: _more(f, f.ledger(), f.job()),
        "a second charge under the next number": lambda f: _next(f, _step(f), f.job()),
        "a generation has not ended": lambda f: _next(f, "video", f.job(), **OPEN),
        "a generation is gone": lambda f: f.drop(f.ledger()),
        "a film of twice the length": lambda f: f.set(VIDEO, units="4"),
        "a kept generation failed": lambda f: f.set(f.ledger(), **FAILED),
        "fewer accepted than rows": lambda f: _count(f, _step(f), "stats", accepted=-1),
        "two were in flight": lambda f: _count(f, _step(f), "stats", max_in_flight=1),
        "a file was fetched after its time": lambda f: _complaint(
            f, "fetched_after_expiry", ok=False
        ),
        "a bill that is good in spite of its complaint": lambda f: _complaint(
            f, "fetched_after_expiry", ok=True
        ),
        "a callback was not answered": lambda f: _complaint(f, "callbacks_unanswered", ok=False),
        "an end was not answered": lambda f: _complaint(
            f, "callbacks_unanswered", ok=False, entry={"status": "succeed"}
        ),
        "more everywhere but at the vendor": lambda f: claim(f, f.job(), _step(f)),
        "more in list and record": lambda f: more_in_list_and_record(f, f.job(), _step(f)),
        "fewer in the list": lambda f: _tell(f, raw.JOBS, "job", 0),
        "fewer in the record": lambda f: _tell(f, raw.STATES, "record", 0),
    }
)
