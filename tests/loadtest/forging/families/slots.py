"""Who held the slot, by the samples of it."""

from collections.abc import Iterable

from loadtest.books import raw
from tests.loadtest.forging.kit import Forger, Row, forgery


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
