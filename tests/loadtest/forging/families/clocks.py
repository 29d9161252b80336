"""Clocks that differ, and what they hide."""

from collections.abc import Iterable

from loadtest.books import raw
from loadtest.times import instant
from tests.loadtest.forging.kit import Forger, Row, exactly, forgery, job_in, moved, shift

IMAGE, VIDEO = raw.LEDGERS["image"], raw.LEDGERS["video"]


def skew(f: Forger, service: str, seconds: float) -> None:
    """One vendor's clock is so much ahead, and the readings of it say so."""
    f.each(raw.LEDGERS[service], lambda row: shift(row, seconds))

    def change(row: Row) -> None:
        if row["service"] == service:
            row["theirs"] = moved(row["theirs"], seconds)

    f.each(raw.CLOCKS, change)


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
def an_overlap(f: Forger) -> Iterable[str]:
    return touch(f, overlap=0.03)


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
