"""Effects before their causes, inside a book and across books."""

from collections.abc import Iterable

from loadtest.books import raw
from tests.loadtest.forging.kit import (
    Forger,
    Row,
    forgeries,
    forgery,
    forgery_of,
    job_in,
    moved,
    shift,
)

IMAGE, VIDEO = raw.LEDGERS["image"], raw.LEDGERS["video"]
BEGIN, END = ("accepted", "started"), ("finished",)


def _shift(
    f: Forger, name: str, seconds: float, *, only: tuple[str, ...], of: str | None = None
) -> Iterable[str]:
    """The generation of a job, by default of any one, begins or ends at another instant."""
    job_id = of or f.job()
    f.each(name, lambda row: shift(row, seconds, only=only), of=job_id)
    return [job_id]


def _behind_its_making(f: Forger, name: str, seconds: float) -> Iterable[str]:
    """An instant of a job is so far behind its making, by the list and by its record."""
    job_id = f.job()

    def change(job: Row) -> None:
        job[name] = moved(job["created_at"], seconds)

    f.each(raw.JOBS, lambda row: change(row["job"]), of=job_id)
    f.each(raw.STATES, lambda row: change(row["record"]), of=job_id)
    return [job_id]


@forgery
def a_change_before_the_one_ahead_of_it(f: Forger) -> Iterable[str]:
    def change(row: Row) -> None:
        changes = row["record"]["transitions"]
        changes[3]["at"] = moved(changes[2]["at"], -0.01)

    return f.of_any_job(raw.STATES, change)


@forgery
def a_callback_sent_before_its_task(f: Forger) -> Iterable[str]:
    def change(row: Row) -> None:
        row["callbacks"][0]["sent_at"] = moved(row["accepted_at"], -0.02)

    return f.of_any_job(VIDEO, change)


@forgery
def a_callback_of_success_sent_before_it(f: Forger) -> Iterable[str]:
    def change(row: Row) -> None:
        row["callbacks"][-1]["sent_at"] = moved(row["finished_at"], -0.5)

    return f.of_any_job(VIDEO, change)


@forgery
def an_activity_that_ended_before_it_began(f: Forger) -> Iterable[str]:
    def change(events: list[Row]) -> None:
        kind = "EVENT_TYPE_ACTIVITY_TASK_{}"
        begun = next(e for e in events if e["eventType"] == kind.format("STARTED"))
        ended = next(e for e in events if e["eventType"] == kind.format("COMPLETED"))
        ended["eventTime"] = moved(begun["eventTime"], -0.01)

    return f.history(f.job(), change)


@forgery
def a_frame_before_what_it_shows(f: Forger) -> Iterable[str]:
    job_id = f.job()

    def early(rows: list[Row]) -> None:
        last = [row for row in rows if job_in(row) == job_id][-1]
        last["at"] -= 2

    f.edit(raw.FRAMES, early)
    return [job_id]


@forgery
def two_jobs_at_once_by_their_records(f: Forger) -> Iterable[str]:
    _, job_id = f.pair()
    earlier = {"started_at": lambda at: moved(at, -0.3)}
    f.set(raw.STATES, "record", "transitions", 1, of=job_id, at=lambda at: moved(at, -0.3))
    f.set(raw.STATES, "record", of=job_id, **earlier)
    return f.set(raw.JOBS, "job", of=job_id, **earlier)


@forgery
def a_job_sent_before_its_stage(f: Forger) -> Iterable[str]:
    f.edit(raw.STAGES, lambda rows: rows[1].update(began_at=rows[1]["began_at"] + 1))
    return f.order[1:]


@forgery
def a_run_that_closed_before_its_permit(f: Forger) -> Iterable[str]:
    def late(event: Row) -> None:
        event["eventTime"] = moved(event["eventTime"], 60)

    return f.signals(f.job(), "granted:job", late)


@forgery_of("lost-callbacks")
def polls_far_more_often_than_ordered(f: Forger) -> Iterable[str]:
    """Each wait of two seconds has an order that asks for polls a minute apart."""

    def order(body: Row) -> None:
        if "hinted" in body:
            body["order"]["limits"] = {"poll": 60.0}

    for job_id in f.order:
        f.orders(job_id, order)
    return f.order


forgeries(
    {
        "a video accepted before its image ended": lambda f: _shift(
            f, VIDEO, -f.random.uniform(0.15, 0.6), only=BEGIN
        ),
        "an image that ended after its video began": lambda f: _shift(
            f, IMAGE, f.random.uniform(0.15, 1), only=END
        ),
        "an end before its beginning": lambda f: _shift(f, f.ledger(), -4, only=END),
        "an image accepted before the permit": lambda f: _shift(
            f, IMAGE, -1, only=BEGIN, of=f.order[1]
        ),
        "the first image accepted before the permit": lambda f: _shift(
            f, IMAGE, -0.6, only=BEGIN, of=f.order[0]
        ),
        "a generation that ended behind its job": lambda f: _shift(
            f, VIDEO, 1.5, only=END, of=f.order[-1]
        ),
        "a callback received before it was sent": lambda f: f.set(
            raw.RECEIPTS, received_at=lambda at: moved(at, -1)
        ),
        "a job that ends at another instant than its last change": lambda f: f.set(
            raw.STATES,
            *("record", "transitions", f.random.choice((1, -1))),
            at=lambda at: moved(at, 0.01),
        ),
        "a job due before its stage": lambda f: f.set(
            raw.SUBMITS, of=f.order[0], planned_at=lambda at: at - 1
        ),
        "a job that ended before it was made": lambda f: _behind_its_making(f, "finished_at", -1),
        "a job that began before it was made": lambda f: _behind_its_making(f, "started_at", -0.5),
        "a job made before it was asked for": lambda f: _behind_its_making(f, "created_at", -2),
        "an answer before its question": lambda f: f.of_any_job(
            raw.SUBMITS, lambda row: row.update(answered_at=row["sent_at"] - 0.05)
        ),
    }
)
