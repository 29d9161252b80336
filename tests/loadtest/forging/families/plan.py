"""Lies about the plan, the clocks and the samples of the slot."""

from collections.abc import Iterable

from loadtest.books import raw
from loadtest.times import instant
from tests.loadtest.forging.kit import (
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
from tests.loadtest.synthetic import exactly, put

STRANGER = "job-ffffffffffffffffffffffff"
IMAGE, VIDEO = raw.LEDGERS["image"], raw.LEDGERS["video"]


def _run(f: Forger, **other: object) -> Iterable[str]:
    f.json(raw.RUN, lambda run: run.update(other))
    return ()


def _plan(f: Forger, **other: object) -> Iterable[str]:
    f.json(raw.RUN, lambda run: run["plan"].update(other))
    return ()


@forgery_of("hopeless-generations")
def ledgers_that_were_emptied_first(f: Forger) -> Iterable[str]:
    return _plan(f, reset=True)


@forgery_of("hopeless-generations")
def a_worker_that_never_was(f: Forger) -> Iterable[str]:
    f.edit(raw.PROCESSES, lambda rows: rows.append(rows[0] | {"name": "worker-3"}))
    return ()


@forgery
def a_worker_that_restarted_and_went_on(f: Forger) -> Iterable[str]:
    def restart(rows: list[Row]) -> None:
        worker = [row for row in rows if row["name"].startswith("worker")]
        worker[len(worker) // 2]["cpu"] += 1000

    f.edit(raw.PROCESSES, restart)
    return ()


def _slots_after(f: Forger, **other: object) -> Iterable[str]:
    place = f.random.choice((0, 1))
    f.edit(raw.STAGES, lambda rows: rows[place]["slots_after"].update(other))
    return ()


def _later(f: Forger, seconds: float) -> Iterable[str]:
    """The last stage and the run end later than they did."""
    f.json(raw.RUN, lambda run: put(run, ended_at=lambda at: at + seconds))
    f.edit(raw.STAGES, lambda rows: put(rows[-1], ended_at=lambda at: at + seconds))
    return ()


@forgery
def a_condition_less(f: Forger) -> Iterable[str]:
    f.json(raw.RUN, lambda run: run["plan"]["thresholds"].pop(f.random.randrange(11)))
    return ()


@forgery
def a_higher_limit_in_every_book(f: Forger) -> Iterable[str]:
    f.each(raw.SLOTS, lambda row: row.update(limit=2))
    f.each(
        raw.STAGES,
        lambda row: [row[key].update(limit=2) for key in ("slots_before", "slots_after")],
    )
    return _run(f, limit=2)


@forgery
def a_stage_is_gone(f: Forger) -> Iterable[str]:
    f.edit(raw.STAGES, lambda rows: rows.pop())
    return ()


def _submitted_as(f: Forger, name: str) -> Iterable[str]:
    """A job was submitted with what another one was submitted with."""
    one, other = f.pair()
    said = next(row[name] for row in f.rows(raw.SUBMITS) if row["job_id"] == one)
    return [one, *f.set(raw.SUBMITS, of=other, **{name: said})]


@forgery
def a_job_outside_the_time_of_its_stage(f: Forger) -> Iterable[str]:
    def change(rows: list[Row]) -> None:
        rows[1]["ended_at"] = rows[1]["began_at"] + 1

    f.edit(raw.STAGES, change)
    return f.order[-1:]


@forgery
def another_version_of_the_sdk(f: Forger) -> Iterable[str]:
    f.json(raw.RUN, lambda run: put(run, "environment", sdk="1.40.0"))
    return ()


@forgery
def a_job_sent_before_it_was_planned(f: Forger) -> Iterable[str]:
    f.each(raw.SUBMITS, lambda row: row.update(planned_at=row["planned_at"] + 5))
    return f.order[1:]


@forgery
def a_job_of_another_tag(f: Forger) -> Iterable[str]:
    [job_id] = f.set(raw.JOBS, "job", tag="load-other-1")
    return f.set(raw.STATES, "record", of=job_id, tag="load-other-1")


def skew(f: Forger, service: str, seconds: float) -> None:
    """One vendor's clock is so much ahead, and the readings of it say so."""
    f.each(raw.LEDGERS[service], lambda row: shift(row, seconds))

    def change(row: Row) -> None:
        if row["service"] == service:
            row["theirs"] = moved(row["theirs"], seconds)

    f.each(raw.CLOCKS, change)
    if service == "video":
        told = round(seconds * 1000)

        def later(row: Row) -> None:
            row["updated_at"] += told

        f.each(raw.RECEIPTS, later)
        for job_id in f.order:
            f.signals(job_id, "kling_done", lambda event: rewrite(event[SIGNALED]["input"], later))


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
    f.each(f.ledger(), lambda row: shift(row, 10))
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


def _sample(f: Forger, **other: object) -> None:
    """Change one sample, by chance one in which somebody held the slot."""
    rows = f.rows(raw.SLOTS)
    f.random.choice([row for row in rows if row["holders"]]).update(other)
    f.put(raw.SLOTS, rows)


def _limit_in_one_sample(f: Forger, limit: int, **other: object) -> Iterable[str]:
    _sample(f, limit=limit, **other)
    return ()


@forgery
def two_holders(f: Forger) -> Iterable[str]:
    pair = f.pair()
    _sample(f, holders=list(pair))
    return pair


@forgery
def a_stranger_holds_it(f: Forger) -> Iterable[str]:
    _sample(f, holders=[STRANGER])
    return [STRANGER]


@forgery
def a_job_holds_it_that_has_long_ended(f: Forger) -> Iterable[str]:
    rows = f.rows(raw.SLOTS)
    rows[-1]["holders"] = [f.order[1]]
    f.put(raw.SLOTS, rows)
    return [f.order[1]]


@forgery
def one_sample_in_the_midst_of_a_hold_shows_nobody(f: Forger) -> Iterable[str]:
    rows = f.rows(raw.SLOTS)
    held = [row for row in rows if row["holders"] in [[name] for name in f.order[2:-2]]]
    row = held[len(held) // 2]
    [name] = row["holders"]
    row["holders"] = []
    f.put(raw.SLOTS, rows)
    return [name]


@forgery
def a_sample_that_shows_the_holder_before(f: Forger) -> Iterable[str]:
    rows = f.rows(raw.SLOTS)
    before, name = f.order[2:4]
    row = next(row for row in rows if row["holders"] == [name])
    row["holders"] = [before]
    f.put(raw.SLOTS, rows)
    return [before, name]


@forgery
def a_runners_clock_that_nobody_read_for_a_while(f: Forger) -> Iterable[str]:
    rows = f.rows(raw.CLOCKS)
    own = [row for row in rows if row["service"] == "runner"]
    gone = own[len(own) // 4 : -1]
    f.put(raw.CLOCKS, [row for row in rows if row not in gone])
    return ()


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


@forgery_of("slow-vendor")
def a_slot_that_nobody_looked_at_for_a_while(f: Forger) -> Iterable[str]:
    rows = f.rows(raw.SLOTS)
    f.put(raw.SLOTS, rows[: len(rows) // 5] + rows[4 * len(rows) // 5 :])
    return ()


@forgery_of("vendor-outage")
def a_runner_that_looked_at_nothing_for_a_while(f: Forger) -> Iterable[str]:
    """Neither at the slot nor at its clock, and all the while at the processes."""
    times = sorted(row["at"] for row in f.rows(raw.SLOTS))
    begin, end = times[len(times) // 5], times[4 * len(times) // 5]
    f.put(raw.SLOTS, [row for row in f.rows(raw.SLOTS) if not begin < row["at"] < end])
    own = [row for row in f.rows(raw.CLOCKS) if row["service"] == "runner"]
    gone = [row for row in own if begin < row["sent_at"] < end]
    f.put(raw.CLOCKS, [row for row in f.rows(raw.CLOCKS) if row not in gone])
    return ()


@forgery
def a_job_that_is_gone_from_its_place(f: Forger) -> Iterable[str]:
    """The last submission of a stage is of a place that the plan does not have."""
    rows = f.rows(raw.SUBMITS)
    last = max(rows, key=lambda row: int(row["index"]))
    last["index"] += 1
    f.put(raw.SUBMITS, rows)
    return [f"no submission has the key {last['key']}"]


@forgery
def mocks_that_ran_at_real_speed(f: Forger) -> Iterable[str]:
    def slow(vendors: Row) -> None:
        for body in vendors.values():
            body["stats"]["speed"] = 1.0

    f.json(raw.VENDORS, slow)
    return ()


@forgery
def a_sample_of_another_time(f: Forger) -> Iterable[str]:
    rows = f.rows(raw.SLOTS)
    f.random.choice(rows)["at"] += f.random.choice((-100, 100))
    f.put(raw.SLOTS, rows)
    return ()


forgeries(
    {
        "no limit at the beginning": lambda f: _run(f, limit=None),
        "a run without mocks": lambda f: _run(f, mocks=[]),
        "a stage that ended a minute later": lambda f: _later(f, 60),
        "the limit is higher behind a stage": lambda f: _slots_after(f, limit=2),
        "the limit is higher in one sample": lambda f: _limit_in_one_sample(
            f, f.random.choice((2, 5))
        ),
        "the limit is higher in one sample that has two holders": lambda f: _limit_in_one_sample(
            f, 2, holders=list(f.pair())
        ),
        "a submission at a time": lambda f: _plan(f, concurrency=1),
        "a job that was submitted three times": lambda f: f.set(raw.SUBMITS, tries=3),
        "a submission of the same place": lambda f: _submitted_as(f, "index"),
        "a submission under the same key": lambda f: _submitted_as(f, "key"),
        "a job planned later than the plan says": lambda f: f.set(
            raw.SUBMITS, planned_at=lambda at: at + 0.01, sent_at=lambda at: at + 0.01
        ),
        "no conditions": lambda f: _plan(f, thresholds=[]),
        "fewer jobs planned": lambda f: _plan(f, stages=[1, 4]),
        "more jobs planned": lambda f: _plan(f, stages=[1, 5, 10]),
        "an overlap": lambda f: touch(f, overlap=0.03),
    }
)
