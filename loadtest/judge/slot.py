"""The order of grants, and what samples of the slot must have shown."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import inf
from typing import NamedTuple, Self

from loadtest.books.facts import SlotSample
from loadtest.books.histories import Execution
from loadtest.books.model import Books, JobFacts, StageBook
from loadtest.judge.clocks import SERVER, Clocks
from loadtest.judge.compare import RUN, Finding
from loadtest.judge.reference import PRIORITY
from loadtest.times import timestamp

AGEING = 600.0
"""Seconds of waiting that count as much as one priority."""
VIEW = 1.0
"""The API asks the semaphore again when its last question is so many seconds old."""
LOOKS = 1_000_000
"""Of a long stage, not every sample is held against every run."""
LONG, TURN_OVER = 3, 10.0
"""So many samples behind one another, over so many seconds, show more than a semaphore that turns
over: its next run decides nothing before two tasks and an activity, slow on a busy machine."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A run in the queue; `free`: when its place became free, by the server's clock."""

    job: JobFacts
    run: Execution
    free: float | None

    @property
    def key(self) -> tuple[float, str]:
        """As the semaphore has it: by priority, then submission; waiting raises a low priority."""
        priority = self.run.body.get("priority")
        weight = priority if isinstance(priority, int) else PRIORITY
        return (self.run.started or 0.0) + weight * AGEING, self.run.run_id


def of_run(books: Books, clocks: Clocks) -> Iterator[Finding]:
    """Grants out of turn, and views that lack what was so. Only with a limit of one it is known
    which close freed a place."""
    for stage in books.stages:
        queue = _turns(stage) if books.limit == 1 else []
        turns = sorted(queue, key=lambda turn: turn.key)
        yield from _granted_in_turn(queue)
        yield from _idle(stage)
        # The request was sent behind the sample before, and answered by a question that was at most
        # VIEW old then, or, where that was on its way, behind the request before.
        samples = sorted(stage.samples, key=lambda sample: sample.at)
        ends = [*(sample.at for sample in samples[3:]), inf]
        looks = list(zip(samples, samples[2:], ends, strict=False))
        every = 1 + len(looks) * len(queue) // LOOKS
        gone = [run for job in stage.jobs.values() for run in job.executions if run.granted is None]
        for before, sample, after in looks[::every]:
            span = _Span.of(clocks, before.at - VIEW, sample.at)
            yield from _shown(queue, sample, span)
            # Others' jobs stand in the queue, too.
            if not books.foreign_jobs:
                # The places were asked for behind the sample, and before the next one.
                span = _Span.of(clocks, before.at - VIEW, after)
                yield from _places(turns, sample, span, gone=len(gone))


def _turns(stage: StageBook) -> list[Turn]:
    """Each run that was granted, in the order of the grants."""
    jobs = stage.jobs.values()
    runs = [(job, run) for job in jobs for run in job.executions if run.granted is not None]
    runs.sort(key=lambda one: one[1].granted or 0.0)
    frees = [run.asked for _, run in runs[:1]] + [
        before.closed for (_, before), _ in pairwise(runs)
    ]
    return [Turn(job, run, free) for (job, run), free in zip(runs, frees, strict=True)]


def _granted_in_turn(queue: list[Turn]) -> Iterator[Finding]:
    """A place goes to the first in turn of all runs that the semaphore had heard when it became
    free: their requests stand in its history before the end of the watch, which it learns later."""
    firsts = list(accumulate((turn.key for turn in reversed(queue)), min))[::-1]
    for place, (turn, first) in enumerate(zip(queue, firsts, strict=True), 1):
        if first == turn.key or turn.free is None:
            continue
        for later in queue[place:]:
            if later.key < turn.key and (later.run.heard or inf) < turn.free:
                text = f"it was granted the slot before {later.job.job_id}, whose turn it was"
                names = (later.job.job_id, turn.job.job_id)
                yield Finding("turn", turn.job.job_id, turn.job.stage, text, *names)
                break


class _Span(NamedTuple):
    """A time in which a view was made, by the server's clock: it lies inside for certain."""

    since: float
    until: float

    @classmethod
    def of(cls, clocks: Clocks, since: float, until: float) -> Self:
        """The time between two instants of the runner's clock."""
        return cls(since - clocks.latest(SERVER, 0.0), until - clocks.earliest(SERVER, 0.0))

    def inside(self, begin: float | None, end: float | None) -> bool:
        """Whether something was so all the while, as far as is certain."""
        return begin is not None and begin < self.since and (end is None or end > self.until)

    def touched(self, begin: float | None, end: float | None) -> bool:
        """Whether something may have been so at some moment of it."""
        return (begin is None or begin <= self.until) and (end is None or end > self.since)


def _shown(queue: list[Turn], sample: SlotSample, span: _Span) -> Iterator[Finding]:
    """A view shows each run that held all the while, and counts each that waited."""
    for turn in queue:
        held = span.inside(turn.run.granted, turn.run.closed)
        if held and turn.job.job_id not in sample.holders:
            text = f"it held the slot at {timestamp(sample.at)}, and was not shown"
            yield Finding("slots.holders", turn.job.job_id, turn.job.stage, text, turn.job.job_id)
    waited = [turn for turn in queue if span.inside(turn.run.heard, turn.free)]
    if sample.waiting is not None and sample.waiting < len(waited):
        for turn in waited:
            expected, found = str(len(waited)), str(sample.waiting)
            text = f"{found} waited at {timestamp(sample.at)}, and it was one of {expected}"
            yield Finding("slots.waiting", turn.job.job_id, turn.job.stage, text, expected, found)


def _places(turns: list[Turn], sample: SlotSample, span: _Span, *, gone: int) -> Iterator[Finding]:
    """A place in the queue is one behind all runs that waited with an earlier turn. `gone`: runs
    that were never granted, each of which may have been one of them."""
    least, most = 1, 1 + gone
    for turn in turns if sample.places else ():
        place = sample.places.get(turn.job.job_id)
        if place is not None and not least <= place <= most:
            text = f"its place in the queue was {place} at {timestamp(sample.at)}"
            bounds = f"{least} to {most}"
            yield Finding("slots.places", turn.job.job_id, turn.job.stage, text, bounds, str(place))
        least += span.inside(turn.run.heard, turn.free)
        most += span.touched(turn.run.started, turn.run.granted)


def _idle(stage: StageBook) -> Iterator[Finding]:
    """No place stays free while a run waits; a semaphore that turns over grants a moment later."""
    idle: list[SlotSample] = []
    for sample in stage.samples:
        full = sample.limit is None or len(sample.holders) >= sample.limit
        idle = [] if full or not sample.waiting else [*idle[:LONG], sample]
        if len(idle) >= LONG and sample.at - idle[0].at >= TURN_OVER:
            first = idle[0]
            held = f"{len(first.holders)} of {first.limit} places were held"
            text = f"{held} from {timestamp(first.at)} on, and {first.waiting} waited"
            yield Finding("slots.limit", RUN, stage.number, text)
            return
