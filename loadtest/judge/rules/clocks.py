"""The vendors' clocks were read at both ends, stood still against ours, and are not far from it."""

from collections.abc import Iterator

from loadtest.books.model import STEPS, Books
from loadtest.judge.clocks import SLACK, at_moment, contradict
from loadtest.judge.findings import Finding
from loadtest.judge.rules.common import Texts, of_run
from loadtest.times import duration

KIND = "clock"
JUMP, DRIFT = 0.005, 1e-4
"""Seconds that a clock may move in a run, and for each second of it."""


def broken(books: Books) -> Iterator[Finding]:
    """Clocks that can't be trusted."""
    if books.mocked and books.done:
        for step in STEPS:
            yield from of_run(books, KIND, _of_vendor(books, step))


def _of_vendor(books: Books, step: str) -> Texts:
    begin, end = at_moment(books, step, "begin"), at_moment(books, step, "end")
    if begin is None or end is None:
        yield f"the {step} service's clock was not read at both ends of the run"
        return
    for moment in ("begin", "end"):
        if contradict(books, step, moment):
            yield f"the {step} service's clock can't be what its readings say at the {moment}"
    moved = max(begin.low - end.high, end.low - begin.high)
    seconds = float(books.run.get("ended_at") or 0.0) - float(books.run.get("began_at") or 0.0)
    if moved > JUMP + DRIFT * max(0.0, seconds):
        yield f"the {step} service's clock moved by {duration(moved)} in the run"
    off = max(begin.low, end.low, -begin.high, -end.high)
    if off > SLACK:
        yield f"the {step} service's clock is {duration(off)} off the runner's"
