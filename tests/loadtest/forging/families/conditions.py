"""What the run was to be, and what it was held against."""

from collections.abc import Iterable

from loadtest.books import raw
from tests.loadtest.forging.kit import Forger, Row, forgery


def _plan(f: Forger, **other: object) -> Iterable[str]:
    f.json(raw.RUN, lambda run: run["plan"].update(other))
    return ()


@forgery
def no_conditions(f: Forger) -> Iterable[str]:
    return _plan(f, thresholds=[])


@forgery
def a_condition_less(f: Forger) -> Iterable[str]:
    f.json(raw.RUN, lambda run: run["plan"]["thresholds"].pop(f.random.randrange(11)))
    return ()


@forgery
def fewer_jobs_planned(f: Forger) -> Iterable[str]:
    return _plan(f, stages=[1, 4])


@forgery
def more_jobs_planned(f: Forger) -> Iterable[str]:
    return _plan(f, stages=[1, 5, 10])


@forgery
def a_higher_limit_from_the_beginning(f: Forger) -> Iterable[str]:
    f.json(raw.RUN, lambda run: run.update(limit=2))
    return ()


@forgery
def a_higher_limit_in_every_book(f: Forger) -> Iterable[str]:
    f.json(raw.RUN, lambda run: run.update(limit=2))
    f.each(raw.SLOTS, lambda row: row.update(limit=2))
    for key in ("slots_before", "slots_after"):
        f.each(raw.STAGES, lambda row, key=key: row[key].update(limit=2))  # type: ignore[misc]
    return ()


@forgery
def no_limit_at_the_beginning(f: Forger) -> Iterable[str]:
    f.json(raw.RUN, lambda run: run.update(limit=None))
    return ()


@forgery
def a_stage_of_fewer_jobs(f: Forger) -> Iterable[str]:
    f.edit(raw.STAGES, lambda rows: rows[1].update(jobs=4))
    return ()


@forgery
def a_stage_is_gone(f: Forger) -> Iterable[str]:
    f.edit(raw.STAGES, lambda rows: rows.pop())
    return ()


@forgery
def a_stage_that_was_given_up(f: Forger) -> Iterable[str]:
    f.edit(raw.STAGES, lambda rows: rows[0].update(why="interrupted"))
    return ()


@forgery
def a_run_without_mocks(f: Forger) -> Iterable[str]:
    f.json(raw.RUN, lambda run: run.update(mocks=False))
    return ()


@forgery
def a_submission_of_the_same_place(f: Forger) -> Iterable[str]:
    one, other = f.pair()
    place = next(row["index"] for row in f.rows(raw.SUBMITS) if row["job_id"] == one)
    f.each(raw.SUBMITS, lambda row: row.update(index=place), of=other)
    return [one, other]


@forgery
def a_submission_under_the_same_key(f: Forger) -> Iterable[str]:
    one, other = f.pair()
    rows = f.rows(raw.SUBMITS)
    key = next(row["key"] for row in rows if row["job_id"] == one)
    f.each(raw.SUBMITS, lambda row: row.update(key=key), of=other)
    return [one, other]


@forgery
def a_job_of_another_stage(f: Forger) -> Iterable[str]:
    return f.of_any_job(raw.JOBS, lambda row: row.update(stage=0))


@forgery
def a_job_outside_the_time_of_its_stage(f: Forger) -> Iterable[str]:
    def change(rows: list[Row]) -> None:
        rows[1]["ended_at"] = rows[1]["began_at"] + 1

    f.edit(raw.STAGES, change)
    return f.order[-1:]


@forgery
def a_job_planned_later_than_the_plan_says(f: Forger) -> Iterable[str]:
    def later(row: Row) -> None:
        row["planned_at"] += 0.01
        row["sent_at"] += 0.01

    return f.of_any_job(raw.SUBMITS, later)


@forgery
def a_job_sent_before_it_was_planned(f: Forger) -> Iterable[str]:
    f.each(raw.SUBMITS, lambda row: row.update(planned_at=row["planned_at"] + 5))
    return f.order[1:]


@forgery
def a_job_of_another_tag(f: Forger) -> Iterable[str]:
    job_id = f.job()
    f.each(raw.JOBS, lambda row: row["job"].update(tag="load-other-1"), of=job_id)
    f.each(raw.STATES, lambda row: row["record"].update(tag="load-other-1"), of=job_id)
    return [job_id]
