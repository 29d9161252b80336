"""Hold the slot's samples, permits and the order of grants against the histories."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import inf
from typing import NamedTuple

from loadtest.books import raw
from loadtest.books.facts import SlotSample
from loadtest.books.histories import Execution
from loadtest.books.model import Books, JobFacts, StageBook
from loadtest.judge.clocks import SERVER, Clocks
from loadtest.judge.compare import RUN, Between, Finding, Number, Subject
from loadtest.judge.reference import PRIORITY
from loadtest.times import timestamp

AGEING = 600.0
"""Seconds of waiting that count as much as one priority."""
VIEW = 1.0
"""The API asks the semaphore again once its last question is so many seconds old."""
LAG = 3.0
"""Seconds by which the API's view may be old when much is asked of it."""
FRESH = 2.0
"""Seconds by which a mean over samples may be late: a view of a second, and a request's way."""
LOOKS = 1_000_000
"""Of a long stage, not every sample is held against every run."""
LONG, TURN_OVER = 3, 10.0
"""So many samples in a row, over so many seconds, show more than a semaphore that continues as a
new run: that one decides nothing before two tasks and an activity, slow on a busy machine."""
SAMPLES, SHARE = 20, 0.2
"""Means are compared from so many samples on, and may differ by this share."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A run in the queue; `free`: when its place became free, by the server's clock."""

    job: Subject
    run: Execution
    free: float | None

    @property
    def key(self) -> tuple[float, str]:
        """Its turn as the semaphore has it: by priority, then submission; waiting raises a low
        priority."""
        priority = self.run.body.get("priority")
        weight = priority if isinstance(priority, int) else PRIORITY
        return (self.run.started or 0.0) + weight * AGEING, self.run.run_id


def of_run(books: Books, clocks: Clocks) -> Iterator[Finding]:
    """Find grants out of turn, samples that contradict the histories, and permits that fall."""
    for stage in books.stages:
        yield from _samples(stage, books, clocks)
        yield from _means(stage, books)
        yield from _idle(stage)
        # Only with a limit of one it is known which close freed a place.
        queue = _turns(stage) if books.limit == 1 else []
        yield from _granted_in_turn(queue)
        yield from _views(stage, queue, books, clocks)
    yield from _rising(books)
    yield from _senders(books)


def _samples(stage: StageBook, books: Books, clocks: Clocks) -> Iterator[Finding]:
    """Expect in a sample the limit, and holders that held by their histories at about that time."""
    known, limit = {job.job_id: job for job in books.jobs}, books.limit
    runs = [run for job in books.jobs for run in job.executions]
    starts = sorted(run.started or 0.0 for run in runs)
    closes = sorted(run.closed for run in runs if run.closed is not None)
    for sample in stage.samples:
        at, last = timestamp(sample.at), sample.holders[-1] if sample.holders else RUN
        named = Subject(last, stage.number)
        # Those that can wait or hold then; nobody knows of others' jobs.
        most = bisect_right(starts, sample.at + 1) - bisect_left(closes, sample.at - LAG)
        # A holder is drained once its run has closed; chaos deletes histories, too.
        drained = [
            name
            for name in sample.holders
            if books.struck or name not in known or _has_closed(known[name], sample, clocks)
        ]
        expected = {
            "at": Between(stage.began, stage.ended),
            "limit": limit,
            "paused": False,
            "draining": Number(0, len(drained)),
            "waiting": Number(0, None if books.foreign_jobs else most, missing=True),
        }
        yield from named.differ(raw.SLOTS, sample.row, expected)
        for name in sample.holders:
            holder = Subject(name, stage.number)
            if name not in known and name not in books.foreign_jobs:
                text = f"held the slot at {at}, and no book knows it"
                yield holder.found("slots.holders", text)
            elif name in known and not _held(known[name], sample, clocks, closes, limit or 1):
                text = f"held the slot at {at}, which was not its time"
                yield holder.found("slots.holders", text)
        if limit is not None and len(set(sample.holders)) > limit:
            text = f"{', '.join(sample.holders)} held the slot at {at}, the limit being {limit}"
            yield named.found("slots.holders", text)
    run, moments = Subject(RUN, stage.number), [sample.at for sample in stage.samples]
    if moments != sorted(moments):
        yield run.found("slots.at", "samples of the slot are not in order")
    if not moments and not books.struck and stage.ended - stage.began > LAG:
        yield run.found("slots", "nobody looked at the slot")


def _has_closed(job: JobFacts, sample: SlotSample, clocks: Clocks) -> bool:
    closes = (run.closed for run in job.executions if run.closed is not None)
    return any(clocks.earliest(SERVER, at) <= sample.at for at in closes)


def _held(
    job: JobFacts, sample: SlotSample, clocks: Clocks, closes: list[float], limit: int
) -> bool:
    """Whether a job held by then: from the permit to the close, and beyond a bad end until the
    vendors are clear.

    The semaphore decides a moment before the permit arrives, and maybe before the run's own task
    has ended: once the run has started, and a place is free.
    """
    runs = [run for run in job.executions if run.granted is not None]
    begins = []
    for run in runs:
        place = bisect_right(closes, run.granted or 0.0) - limit
        free = closes[place] if place >= 0 else 0.0
        begins.append(clocks.earliest(SERVER, max(run.started or 0.0, free)))
    ends = [clocks.latest(SERVER, run.closed) for run in runs if run.closed is not None]
    good = job.status in ("succeeded", "degraded") and len(ends) == len(runs)
    began = any(begin <= sample.at for begin in begins)
    return began and not (good and sample.at > max(ends) + LAG)


def _means(stage: StageBook, books: Books) -> Iterator[Finding]:
    """Expect, by Little's law, means over the samples that are those of the histories: of the runs
    that hold, and of all that hold or wait. A sample stands for the time around it."""
    samples = [s for s in stage.samples if s.waiting is not None]
    if len(samples) < SAMPLES or samples[-1].at <= samples[0].at or not stage.jobs:
        return
    # Others' jobs hold and wait, too.
    if books.foreign_jobs:
        return
    runs = [run for job in stage.jobs.values() for run in job.executions]
    held = [(run.granted, run.closed) for run in runs if run.granted is not None]
    holders = [(s.at, len(s.holders)) for s in samples]
    late = FRESH * 2 * (stage.limit or 1)
    yield from _mean(stage, "holders", held, counted=holders, late=late, least=0.1)
    first, last = samples[0].at, samples[-1].at
    there = [(run.asked or run.started, run.closed) for run in runs]
    ends = sum(not (first < (begin or first) and (end or last) < last) for begin, end in there)
    all_ = [(s.at, len(s.holders) + (s.waiting or 0)) for s in samples]
    late = FRESH * (len(there) + ends)
    yield from _mean(stage, "waiting", there, counted=all_, late=late, least=1.0)


def _mean(
    stage: StageBook,
    name: str,
    times: Sequence[tuple[float | None, float | None]],
    *,
    counted: list[tuple[float, int]],
    late: float,
    least: float,
) -> Iterator[Finding]:
    first, last = counted[0][0], counted[-1][0]
    gaps = [(then - at, n, more) for (at, n), (then, more) in pairwise(counted)]
    seen = sum(gap * (n + more) / 2 for gap, n, more in gaps) / (last - first)
    inside = ((max(begin or first, first), min(end or last, last)) for begin, end in times)
    told = sum(max(0.0, end - begin) for begin, end in inside) / (last - first)
    # What came and went within a long gap was not seen; a late view is late at both ends.
    unseen = sum(gap * max(1, abs(more - n)) / 2 for gap, n, more in gaps if gap > FRESH)
    if abs(seen - told) > max(least, SHARE * told) + (late + unseen) / (last - first):
        text = f"on average {seen:.2f} by the samples of the slot, {told:.2f} by the histories"
        numbers = (f"{told:.2f}", f"{seen:.2f}")
        yield Subject(RUN, stage.number).found(f"slots.{name}", text, *numbers)


def _idle(stage: StageBook) -> Iterator[Finding]:
    """Expect no free place while a run waits; a semaphore that turns over grants a moment later."""
    idle: list[SlotSample] = []
    for sample in stage.samples:
        full = sample.limit is None or len(sample.holders) >= sample.limit
        idle = [] if full or not sample.waiting else [*idle[:LONG], sample]
        if len(idle) >= LONG and sample.at - idle[0].at >= TURN_OVER:
            first = idle[0]
            held = f"{len(first.holders)} of {first.limit} places were held"
            text = f"{held} from {timestamp(first.at)} on, and {first.waiting} waited"
            yield Subject(RUN, stage.number).found("slots.limit", text)
            return


def _turns(stage: StageBook) -> list[Turn]:
    """Return each run that was granted, in the order of the grants."""
    jobs = stage.jobs.values()
    runs = [(job, run) for job in jobs for run in job.executions if run.granted is not None]
    runs.sort(key=lambda one: one[1].granted or 0.0)
    # The first of a stage finds the place free: it can be granted as soon as it has started.
    frees = [run.started for _, run in runs[:1]] + [before.closed for _, before in runs[:-1]]
    return [
        Turn(Subject(job.job_id, job.stage), run, free)
        for (job, run), free in zip(runs, frees, strict=True)
    ]


def _granted_in_turn(queue: list[Turn]) -> Iterator[Finding]:
    """Expect each place to go to the first in turn of all runs that the semaphore knew when it
    became free: their requests stand in its history before the end of the watch."""
    firsts = list(accumulate((turn.key for turn in reversed(queue)), min))[::-1]
    for place, (turn, first) in enumerate(zip(queue, firsts, strict=True), 1):
        if first == turn.key or turn.free is None:
            continue
        for later in queue[place:]:
            if later.key < turn.key and (later.run.heard or inf) < turn.free:
                name = later.job.job_id
                text = f"it was granted the slot before {name}, whose turn it was"
                yield turn.job.found("turn", text, name, turn.job.job_id)
                break


class _Span(NamedTuple):
    """A time in which a view was made, by the server's clock: it lies inside for certain."""

    since: float
    until: float

    def inside(self, begin: float | None, end: float | None) -> bool:
        """Whether something was so all the while, as far as is certain."""
        return begin is not None and begin < self.since and (end is None or end > self.until)

    def touched(self, begin: float | None, end: float | None) -> bool:
        """Whether something may have been so at some moment of it."""
        return (begin is None or begin <= self.until) and (end is None or end > self.since)


def _views(stage: StageBook, queue: list[Turn], books: Books, clocks: Clocks) -> Iterator[Finding]:
    """Expect in each view what was so for as long as the view can be old.

    Its request was sent after the sample before, and answered by a question that was at most VIEW
    old then, or, if that was on its way, after the request before.
    """
    turns = sorted(queue, key=lambda turn: turn.key)
    runs = [run for job in stage.jobs.values() for run in job.executions]
    gone = sum(run.granted is None for run in runs)
    ahead, behind = clocks.latest(SERVER, 0.0), clocks.earliest(SERVER, 0.0)
    samples = sorted(stage.samples, key=lambda sample: sample.at)
    ends = [*(sample.at for sample in samples[3:]), inf]
    looks = list(zip(samples, samples[2:], ends, strict=False))
    for before, sample, after in looks[:: 1 + len(looks) * len(queue) // LOOKS]:
        since = before.at - VIEW - ahead
        yield from _shown(queue, sample, _Span(since, sample.at - behind))
        # Others' jobs stand in the queue, too.
        if not books.foreign_jobs:
            # The places were asked for after the sample, and before the next one.
            yield from _places(turns, sample, _Span(since, after - behind), gone=gone)


def _shown(queue: list[Turn], sample: SlotSample, span: _Span) -> Iterator[Finding]:
    """Expect each run that held all the while, and the count of those that waited."""
    at = timestamp(sample.at)
    for turn in queue:
        held = span.inside(turn.run.granted, turn.run.closed)
        if held and turn.job.job_id not in sample.holders:
            text = f"it held the slot at {at}, and was not shown"
            yield turn.job.found("slots.holders", text, turn.job.job_id)
    waited = [turn for turn in queue if span.inside(turn.run.heard, turn.free)]
    if sample.waiting is not None and sample.waiting < len(waited):
        for turn in waited:
            text = f"{sample.waiting} waited at {at}, and it was one of {len(waited)}"
            yield turn.job.found("slots.waiting", text, len(waited), sample.waiting)


def _places(turns: list[Turn], sample: SlotSample, span: _Span, *, gone: int) -> Iterator[Finding]:
    """Expect a place in the queue that is one after all runs that waited with an earlier turn.
    `gone` counts the runs that were never granted, each of which may have been one of them."""
    least, most = 1, 1 + gone
    for turn in turns if sample.places else ():
        place = sample.places.get(turn.job.job_id)
        if place is not None and not least <= place <= most:
            text = f"its place in the queue was {place} at {timestamp(sample.at)}"
            yield turn.job.found("slots.places", text, f"{least} to {most}", place)
        least += span.inside(turn.run.heard, turn.free)
        most += span.touched(turn.run.started, turn.run.granted)


def _rising(books: Books) -> Iterator[Finding]:
    """Expect of a permit that is granted after the close of another run a higher number."""
    runs = [
        (run.granted, run.closed, run.token, Subject(job.job_id, job.stage))
        for job in books.jobs
        for run in job.executions
        if run.granted is not None and isinstance(run.token, int)
    ]
    closes = sorted((closed, token) for _, closed, token, _ in runs if closed is not None)
    highest, place = -1, 0
    for granted, _, token, job in sorted(runs, key=lambda one: one[0]):
        while place < len(closes) and closes[place][0] < granted:
            highest = max(highest, closes[place][1])
            place += 1
        if token <= highest:
            text = f"its permit {token} is not above {highest}, which had been given back"
            yield job.found("permit", text, f"above {highest}", token)


def _senders(books: Books) -> Iterator[Finding]:
    """Expect no permit from a worker of the jobs; in one process with the semaphore all are."""
    runs = [(job, run) for job in books.jobs for run in job.executions if run.granted_by]
    workers = {name for _, run in runs for name in run.workers}
    if {run.granted_by for _, run in runs} <= workers:
        return
    for job, run in runs:
        if run.granted_by in workers:
            text = f"its permit came from {run.granted_by}, which is a worker of jobs"
            yield Subject(job.job_id, job.stage).found("permit", text)
