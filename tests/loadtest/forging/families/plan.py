"""Lies about the plan, the clocks and the samples of the slot."""

from collections.abc import Iterable

from loadtest.books import raw
from loadtest.times import instant
from tests.loadtest.forging.kit import (
    Forger,
    Row,
    forgeries,
    forgery,
    job_in,
    moved,
    shift,
)
from tests.loadtest.synthetic import exactly


def _plan(f: Forger, **other: object) -> Iterable[str]:
    f.json(raw.RUN, lambda run: run["plan"].update(other))
    return ()


@forgery
def a_condition_less(f: Forger) -> Iterable[str]:
    f.json(raw.RUN, lambda run: run["plan"]["thresholds"].pop(f.random.randrange(11)))
    return ()


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
    f.json(raw.RUN, lambda run: run.update(mocks=[]))
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


IMAGE, VIDEO = raw.LEDGERS["image"], raw.LEDGERS["video"]


def skew(f: Forger, service: str, seconds: float) -> None:
    """One vendor's clock is so much ahead, and the readings of it say so."""
    f.each(raw.LEDGERS[service], lambda row: shift(row, seconds))

    def change(row: Row) -> None:
        if row["service"] == service:
            row["theirs"] = moved(row["theirs"], seconds)

    f.each(raw.CLOCKS, change)
    if service == "video":
        told = round(seconds * 1000)
        f.each(raw.RECEIPTS, lambda row: row.update(updated_at=row["updated_at"] + told))


def touch(f: Forger, *, overlap: float) -> tuple[str, str]:
    """A job's image is accepted so long before the video of the job ahead of it has ended."""
    before, after = f.pair()
    [ended] = [instant(row["finished_at"]) for row in f.rows(VIDEO) if job_in(row) == before]

    def change(row: Row) -> None:
        row["accepted_at"] = exactly((ended or 0.0) - overlap)
        row["accepted_ts"] = (ended or 0.0) - overlap

    f.each(IMAGE, change, of=after)
    return before, after


@forgery
def an_overlap_that_a_slow_clock_hides(f: Forger) -> Iterable[str]:
    pair = touch(f, overlap=0.03)
    skew(f, "image", 0.05)
    return pair


@forgery
def a_vendors_clock_ten_seconds_ahead(f: Forger) -> Iterable[str]:
    f.each(f.random.choice((IMAGE, VIDEO)), lambda row: shift(row, 10))
    return f.order


@forgery
def both_vendors_clocks_ten_seconds_ahead(f: Forger) -> Iterable[str]:
    for name in (IMAGE, VIDEO):
        f.each(name, lambda row: shift(row, 10))
    return f.order


@forgery
def both_vendors_clocks_ten_seconds_ahead_by_the_readings(f: Forger) -> Iterable[str]:
    for service in ("image", "video"):
        skew(f, service, 10)
    return ()


@forgery
def a_clock_that_jumped(f: Forger) -> Iterable[str]:
    service = f.random.choice(("image", "video"))

    def change(row: Row) -> None:
        if (row["service"], row["moment"]) == (service, "end"):
            row["theirs"] = moved(row["theirs"], 0.1)

    f.each(raw.CLOCKS, change)
    return ()


@forgery
def a_clock_that_nobody_read_at_the_end(f: Forger) -> Iterable[str]:
    f.put(raw.CLOCKS, [row for row in f.rows(raw.CLOCKS) if row["moment"] == "begin"])
    return ()


@forgery
def a_reading_that_the_others_forbid(f: Forger) -> Iterable[str]:
    def change(rows: list[Row]) -> None:
        row = f.random.choice(rows)
        row["theirs"] = moved(row["theirs"], f.random.choice((-0.5, 0.5)))

    f.edit(raw.CLOCKS, change)
    return ()


def _sample(f: Forger, **other: object) -> Row:
    """Change one sample, by chance one in which somebody held the slot; returns it as it was."""
    rows = f.rows(raw.SLOTS)
    place = f.random.choice([n for n, row in enumerate(rows) if row["holders"]])
    before = dict(rows[place])
    rows[place] |= other
    f.put(raw.SLOTS, rows)
    return before


@forgery
def two_holders(f: Forger) -> Iterable[str]:
    pair = f.pair()
    _sample(f, holders=list(pair))
    return pair


@forgery
def a_stranger_holds_it(f: Forger) -> Iterable[str]:
    _sample(f, holders=["job-ffffffffffffffffffffffff"])
    return ["job-ffffffffffffffffffffffff"]


@forgery
def a_job_holds_it_that_has_long_ended(f: Forger) -> Iterable[str]:
    rows = f.rows(raw.SLOTS)
    rows[-1]["holders"] = [f.order[1]]
    f.put(raw.SLOTS, rows)
    return [f.order[1]]


@forgery
def a_holder_is_drained_that_goes_on(f: Forger) -> Iterable[str]:
    rows = f.rows(raw.SLOTS)
    held = [(n, row["holders"]) for n, row in enumerate(rows) if row["holders"]]
    place = next(n for n, names in held if rows[n + 1]["holders"] == names)
    rows[place]["draining"] = 1
    f.put(raw.SLOTS, rows)
    return list(rows[place]["holders"])


@forgery
def a_job_holds_it_long_before_its_turn(f: Forger) -> Iterable[str]:
    rows = f.rows(raw.SLOTS)
    place = next(n for n, row in enumerate(rows) if row["holders"] == [f.order[1]])
    rows[place]["holders"] = [f.order[-1]]
    f.put(raw.SLOTS, rows)
    return [f.order[-1]]


@forgery
def the_limit_is_higher_in_one_sample(f: Forger) -> Iterable[str]:
    _sample(f, limit=f.random.choice((2, 5)))
    return ()


@forgery
def the_limit_is_higher_in_one_sample_that_has_two_holders(f: Forger) -> Iterable[str]:
    pair = f.pair()
    _sample(f, limit=2, holders=list(pair))
    return ()


@forgery
def the_limit_is_higher_behind_a_stage(f: Forger) -> Iterable[str]:
    f.edit(raw.STAGES, lambda rows: rows[f.random.choice((0, 1))]["slots_after"].update(limit=2))
    return ()


@forgery
def a_sample_of_another_time(f: Forger) -> Iterable[str]:
    rows = f.rows(raw.SLOTS)
    f.random.choice(rows)["at"] += f.random.choice((-100, 100))
    f.put(raw.SLOTS, rows)
    return ()


forgeries(
    {
        "no conditions": lambda f: _plan(f, thresholds=[]),
        "fewer jobs planned": lambda f: _plan(f, stages=[1, 4]),
        "more jobs planned": lambda f: _plan(f, stages=[1, 5, 10]),
        "a job of another stage": lambda f: f.of_any_job(raw.JOBS, lambda row: row.update(stage=0)),
        "an overlap": lambda f: touch(f, overlap=0.03),
    }
)
