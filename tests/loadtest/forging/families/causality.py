"""Effects before their causes, inside a book and across books."""

from collections.abc import Iterable

from loadtest.books import raw
from tests.loadtest.forging.kit import Forger, Row, forgeries, forgery, job_in, moved, shift

IMAGE, VIDEO = raw.LEDGERS["image"], raw.LEDGERS["video"]


@forgery
def a_video_accepted_before_its_image_ended(f: Forger) -> Iterable[str]:
    job_id = f.job()
    back = -f.random.uniform(0.15, 0.6)
    f.each(VIDEO, lambda row: shift(row, back, only=("accepted", "started")), of=job_id)
    return [job_id]


@forgery
def an_image_that_ended_after_its_video_began(f: Forger) -> Iterable[str]:
    return f.of_any_job(
        IMAGE, lambda row: shift(row, f.random.uniform(0.15, 1), only=("finished",))
    )


@forgery
def an_end_before_its_beginning(f: Forger) -> Iterable[str]:
    job_id, name = f.job(), f.random.choice((IMAGE, VIDEO))
    f.each(name, lambda row: shift(row, -4, only=("finished",)), of=job_id)
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
def an_image_accepted_before_the_permit(f: Forger) -> Iterable[str]:
    job_id = f.order[1]
    f.each(IMAGE, lambda row: shift(row, -1, only=("accepted", "started")), of=job_id)
    return [job_id]


@forgery
def the_first_image_accepted_before_the_permit(f: Forger) -> Iterable[str]:
    job_id = f.order[0]
    f.each(IMAGE, lambda row: shift(row, -0.6, only=("accepted", "started")), of=job_id)
    return [job_id]


@forgery
def a_generation_that_ended_behind_its_job(f: Forger) -> Iterable[str]:
    job_id = f.order[-1]
    f.each(VIDEO, lambda row: shift(row, 1.5, only=("finished",)), of=job_id)
    return [job_id]


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
def a_callback_received_before_it_was_sent(f: Forger) -> Iterable[str]:
    return f.of_any_job(
        raw.RECEIPTS, lambda row: row.update(received_at=moved(row["received_at"], -1))
    )


@forgery
def an_activity_that_ended_before_it_began(f: Forger) -> Iterable[str]:
    job_id = f.job()

    def change(events: list[Row]) -> None:
        kind = "EVENT_TYPE_ACTIVITY_TASK_{}"
        begun = next(e for e in events if e["eventType"] == kind.format("STARTED"))
        ended = next(e for e in events if e["eventType"] == kind.format("COMPLETED"))
        ended["eventTime"] = moved(begun["eventTime"], -0.01)

    f.history(job_id, change)
    return [job_id]


@forgery
def an_end_that_the_list_and_the_record_tell_otherwise(f: Forger) -> Iterable[str]:
    return f.of_any_job(
        raw.JOBS, lambda row: row["job"].update(finished_at=moved(row["job"]["finished_at"], -0.03))
    )


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

    def change(row: Row) -> None:
        changes = row["record"]["transitions"]
        changes[1]["at"] = moved(changes[1]["at"], -0.3)
        row["record"]["started_at"] = changes[1]["at"]

    f.each(raw.STATES, change, of=job_id)
    f.each(
        raw.JOBS,
        lambda row: row["job"].update(started_at=moved(row["job"]["started_at"], -0.3)),
        of=job_id,
    )
    return [job_id]


@forgery
def a_job_sent_before_its_stage(f: Forger) -> Iterable[str]:
    f.edit(raw.STAGES, lambda rows: rows[1].update(began_at=rows[1]["began_at"] + 1))
    return f.order[1:]


@forgery
def a_job_that_ends_at_another_instant_than_its_last_change(f: Forger) -> Iterable[str]:
    job_id, place = f.job(), f.random.choice((1, -1))

    def change(row: Row) -> None:
        last = row["record"]["transitions"][place]
        last["at"] = moved(last["at"], 0.01)

    f.each(raw.STATES, change, of=job_id)
    return [job_id]


@forgery
def a_job_due_before_its_stage(f: Forger) -> Iterable[str]:
    job_id = f.order[0]
    f.each(raw.SUBMITS, lambda row: row.update(planned_at=row["planned_at"] - 1), of=job_id)
    return [job_id]


@forgery
def a_run_that_closed_before_its_permit(f: Forger) -> Iterable[str]:
    job_id = f.job()
    f.signals(
        job_id, "granted:job", lambda event: event.update(eventTime=moved(event["eventTime"], 60))
    )
    return [job_id]


forgeries(
    {
        "a job that ended before it was made": lambda f: _behind_its_making(f, "finished_at", -1),
        "a job that began before it was made": lambda f: _behind_its_making(f, "started_at", -0.5),
        "a job made before it was asked for": lambda f: _behind_its_making(f, "created_at", -2),
        "an answer before its question": lambda f: f.of_any_job(
            raw.SUBMITS, lambda row: row.update(answered_at=row["sent_at"] - 0.05)
        ),
    }
)
