"""Hold the slot's samples, permits and the order of grants against the histories."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate, pairwise
from math import inf
from statistics import median
from typing import Any, NamedTuple

from loadtest.books import raw
from loadtest.books.executions import GRANTED, SLOT, Execution
from loadtest.books.facts import SlotSample, mapping, read
from loadtest.books.model import OUTSIDE, SEMAPHORE, Books, JobFacts, StageBook
from loadtest.judge.clocks import SERVER, SLOW, Clocks
from loadtest.judge.compare import RUN, Between, Finding, Number, Subject
from loadtest.judge.reference import PRIORITY
from loadtest.times import timestamp

AGEING = 600.0
"""Seconds of waiting that count as much as one priority."""
VIEW = 1.0
"""The API asks the semaphore again when its last question is older than this many seconds."""
SOON = 3.0
"""Seconds in which a service on a busy machine does what it does at once: it grants a place, learns
of a close, answers a look."""
PAUSE = 0.49
"""Least seconds between two samples of the runner."""
LOOKS = 1_000_000
"""Most comparisons of a sample with a run in a stage; beyond it only every n-th sample counts."""
LONG, TURN_OVER, HOPS = 3, 10.0, 12
"""A free place while runs wait is a finding after so many samples and seconds. A semaphore that
continues as a new run grants nothing for two tasks and an activity, slow on a busy machine. So many
of the longest hops beside SOON are enough if every service answered whenever it was asked."""
SAMPLES = 20
"""Least samples whose usual pause is known."""


class Turn(NamedTuple):
    """A granted run; when it had started and a place was free, by the server's clock; and the job
    by whose close it was."""

    job: JobFacts
    run: Execution
    free: float
    by: str

    @property
    def key(self) -> tuple[float, str]:
        """The semaphore's order: by priority, then submission; waiting raises a low priority."""
        priority = self.run.body.get("priority")
        weight = priority if isinstance(priority, int) else PRIORITY
        return (self.run.started or 0.0) + weight * AGEING, self.run.run_id

    @property
    def named(self) -> Subject:
        return Subject(self.job.job_id, self.job.stage)


class _View(NamedTuple):
    """A sample, and the bounds of the instant at which its view was made, by the server's clock."""

    sample: SlotSample
    since: float
    until: float

    def touched(self, begin: float, end: float) -> bool:
        """True if the time from `begin` to `end` may overlap the view."""
        return begin <= self.until and end > self.since


Holds = dict[str, list[tuple[float, float]]]


def of_run(books: Books, clocks: Clocks) -> Iterator[Finding]:
    """Find grants out of turn, samples that contradict the histories, and falling permits."""
    # Only with a limit of one is it known which close freed a place. A terminated semaphore loses
    # its requests.
    known = books.limit == 1 and not books.is_struck("terminate", SEMAPHORE)
    turns = freed(books)
    # The semaphore decides before the permit arrives, learns of a close after it, and after one
    # from outside waits until the vendors are clear.
    holds: Holds = defaultdict(list)
    for turn in turns:
        end = inf if turn.run.status in OUTSIDE else (turn.run.closed or inf) + SOON
        holds[turn.job.job_id].append((turn.free, end))
    # One that was closed from outside while it waited gets the place for a moment, and no permit.
    for job, run in books.runs:
        if run.granted is None and run.status in OUTSIDE:
            holds[job.job_id].append((run.closed or inf, inf))
    queue = turns if known else []
    yield from _granted_in_turn(queue)
    for stage in books.stages:
        yield from _samples(stage, queue, books, clocks=clocks, holds=holds)
        yield from _idle(stage, books)
    yield from _permits(books)


def freed(books: Books) -> list[Turn]:
    """Return each run that was granted, in the order of the grants: the place that falls free first
    is granted first."""
    runs = sorted(books.granted(), key=lambda one: one[1].granted or 0.0)
    closes = sorted((run.left or inf, job.job_id) for job, run in runs)
    closes = [(-inf, "")] * min(books.limit or 1, len(runs)) + closes
    return [
        Turn(job, run, max(run.started or 0.0, min(at, run.granted or 0.0)), by)
        for (job, run), (at, by) in zip(runs, closes, strict=False)
    ]


def _granted_in_turn(queue: list[Turn]) -> Iterator[Finding]:
    """Expect each free place to go to the first in order of the runs that had requested it: their
    requests are in the semaphore's history before the end of the watch."""
    firsts = list(accumulate((turn.key for turn in reversed(queue)), min))[::-1]
    for place, (turn, first) in enumerate(zip(queue, firsts, strict=True), 1):
        for later in queue[place:] if first < turn.key else ():
            if later.key < turn.key and (later.run.heard or inf) < turn.free:
                name = later.job.job_id
                text = f"it was granted the slot before {name}, whose turn it was"
                yield turn.named.found("turn", text, name, turn.job.job_id)
                break


def _samples(
    stage: StageBook, queue: list[Turn], books: Books, *, clocks: Clocks, holds: Holds
) -> Iterator[Finding]:
    """Expect that each sample shows what was so at some instant at which its view can have been
    made.

    The view is at most VIEW older than the sample's request, which was sent after the sample
    before. A question that was under way then was sent after the request before it.
    """
    samples = _looks(stage, books)
    runs = [run for _, run in books.runs]
    starts = sorted(run.started or 0.0 for run in runs)
    # One that was closed from outside while it waited stays in the queue until its turn.
    left = sorted(run.granted or (run.status not in OUTSIDE and run.closed) or inf for run in runs)
    known = [run for _, run in books.granted()]
    heard = sorted(run.heard or inf for run in known)
    grants = sorted(run.granted or inf for run in known)
    closes = sorted(run.left or inf for run in known)
    # A semaphore decides before the permit arrives.
    frees = sorted(begin for own in holds.values() for begin, _ in own)
    turns = sorted(queue, key=lambda turn: turn.key)
    gone = sum(run.granted is None for run in runs)
    ahead, behind = clocks.latest(SERVER, 0.0), clocks.earliest(SERVER, 0.0)
    begins = [-inf, -inf, *(begin for _, begin, _ in samples)]
    ends = [*(end for _, _, end in samples[1:]), inf]
    every = 1 + len(samples) * len(queue) // LOOKS
    for number, (sample, _, end) in enumerate(samples):
        view = _View(sample, begins[number] - VIEW - ahead, end - behind)
        # The runs that hold or wait all the time of the view at least, and those that can wait in
        # it; others' jobs are not known.
        held = bisect_left(grants, view.since) - bisect_right(closes, view.until)
        least = bisect_left(heard, view.since) - bisect_right(frees, view.until)
        most = bisect_right(starts, view.until) - bisect_left(left, view.since)
        waiting = Number(max(0, least), None if books.foreign_jobs else most, missing=True)
        yield from _sample(stage, view, books, holds=holds, held=held, waiting=waiting)
        some = queue if number % every == 0 else []
        if books.foreign_jobs:
            yield from _stranger(some, view)
        elif some and {turn.job.job_id for turn in some}.issuperset(sample.holders):
            yield from _one_state(some, view, holds=holds, gone=gone)
            # The places were asked for after the sample, and before the next one.
            yield from _places(turns, view._replace(until=ends[number] - behind), gone=gone)
    run = Subject(RUN, stage.number)
    apart = [then.at - sample.at for sample, then in pairwise(stage.samples)]
    if any(seconds < 0 for seconds in apart):
        yield run.found("slots.at", "samples of the slot are not in order")
    if len(apart) >= SAMPLES and median(apart) < PAUSE:
        found = f"{median(apart):.2f}"
        text = f"looks at the slot were {found} s apart, and the runner pauses {PAUSE:g} s between"
        yield run.found("slots.at", text, PAUSE, found)
    if not stage.samples and not books.struck and stage.ended - stage.began > SOON:
        yield run.found("slots", "the slot was never read")


def _looks(stage: StageBook, books: Books) -> list[tuple[SlotSample, float, float]]:
    """Return each sample with the bounds of its instant: the stage's own samples, one before its
    first submission, and one after its end."""
    found = [(sample, sample.at, sample.at) for sample in sorted(stage.samples, key=lambda s: s.at)]
    sent = [each.sent for job in stage.jobs.values() for each in job.submissions]
    first = min([*sent, *(sample.at for sample in stage.samples)], default=stage.ended)
    later = [each.began for each in books.stages if each.began >= stage.ended]
    last = min(later, default=float(books.run.get("ended_at") or inf))
    for moment, place, begin, end in (
        ("slots_before", 0, stage.began, first),
        ("slots_after", len(found) + 1, stage.ended, last),
    ):
        row = mapping(stage.row.get(moment))
        # A chaos run keeps the slot as the API has it.
        if row and not books.struck:
            found.insert(place, (read(SlotSample, row | {"at": begin, "row": row}), begin, end))
    return found


def _sample(
    stage: StageBook, view: _View, books: Books, *, holds: Holds, held: int, waiting: Number
) -> Iterator[Finding]:
    """Expect the limit, as many holders as there are `held` in any case, and only such as can have
    held then, by their histories."""
    known, limit, sample = {job.job_id: job for job in books.jobs}, books.limit, view.sample
    at, last = timestamp(sample.at), sample.holders[-1] if sample.holders else RUN
    named = Subject(last, stage.number)
    # A holder is drained once its run was closed from outside; chaos deletes histories, too.
    runs = (run for name in known.keys() & {*sample.holders} for run in known[name].executions)
    closed = [run.closed or inf for run in runs if run.granted and run.status in OUTSIDE]
    least = sum(at + SOON < view.since for at in closed) if books.calm else 0
    drained = sum(at <= view.until for at in closed) + len({*sample.holders} - known.keys())
    expected: dict[str, Any] = {
        "limit": limit,
        "paused": False,
        "draining": Number(least, drained),
        "waiting": waiting,
    }
    if "at" in sample.row:
        expected["at"] = Between(stage.began, stage.ended)
    yield from named.differ(raw.SLOTS, sample.row, expected)
    for name in sample.holders:
        holder = Subject(name, stage.number)
        if name not in known and not books.foreign_jobs.get(name, {}).get("known"):
            yield holder.found("slots.holders", f"held the slot at {at}, and no book knows it")
        elif name in known and not any(view.touched(*hold) for hold in holds.get(name, ())):
            why = "which was not its time" if name in holds else "and has no permit in any history"
            yield holder.found("slots.holders", f"held the slot at {at}, {why}")
    count, most = len({*sample.holders}), inf if limit is None else limit
    if not held <= count <= most:
        text = f"{count} held the slot at {at}, by the histories at least {held}, at most {limit}"
        yield named.found("slots.holders", text, f"{held} to {limit}", count)


def _stranger(queue: list[Turn], view: _View) -> Iterator[Finding]:
    """Expect no other one between two of the runs: each grant has the next number."""
    names = {turn.job.job_id for turn in queue}
    strangers = [name for name in view.sample.holders if name not in names]
    first = bisect_right(queue, view.since, key=lambda turn: turn.run.granted or 0.0) - 1
    ends = (turn.run.closed or inf for turn in queue)
    last = next((place for place, end in enumerate(ends) if end > view.until), -1)
    if strangers and 0 <= first <= last:
        until, since = queue[last], queue[first]
        if (until.run.token or 0) - (since.run.token or 0) == last - first:
            text = f"it held the slot at {timestamp(view.sample.at)}, and so did {strangers[0]}"
            yield until.named.found("slots.holders", text)


def _one_state(queue: list[Turn], view: _View, *, holds: Holds, gone: int) -> Iterator[Finding]:
    """Expect what was so at one instant: a run held the slot, or nobody between two of them, and
    those that were granted later waited, as far as they had asked for it."""
    states, sample = list[tuple[tuple[str, ...], int]](), view.sample
    closed, granted = -inf, [*(turn.run.granted or 0.0 for turn in queue[1:]), inf]
    for place, (turn, following) in enumerate(zip(queue, granted, strict=True)):
        if view.touched(closed, turn.run.granted or 0.0):
            states.append(((), place))
        end = min(*(end for _, end in holds[turn.job.job_id]), following)
        if view.touched(turn.free, end):
            states.append(((turn.job.job_id,), place + 1))
        closed = turn.run.closed or inf
    if view.touched(closed, inf):
        states.append(((), len(queue)))
    at, shown = timestamp(sample.at), ", ".join(sample.holders) or "nobody"
    said, fits = list[str](), False
    for names, place in states:
        later = [turn.run for turn in queue[place:]]
        least = sum((run.heard or inf) < view.since for run in later)
        most = sum((run.started or 0.0) <= view.until for run in later) + gone
        said.append(f"{', '.join(names) or 'nobody'} beside {least} to {most}")
        alike = names == sample.holders
        fits |= alike and (sample.waiting is None or least <= sample.waiting <= most)
    if not fits:
        text = f"{shown} held the slot at {at}, and {sample.waiting} waited: no instant had that"
        last = max(0, max((place for _, place in states), default=0) - 1)
        own = next((turn for turn in queue if turn.job.job_id in sample.holders), queue[last])
        alike = any(names == sample.holders for names, _ in states)
        yield own.named.found(f"slots.{'waiting' if alike else 'holders'}", text, " or ".join(said))


def _places(turns: list[Turn], view: _View, *, gone: int) -> Iterator[Finding]:
    """Expect each place in the queue to be one after the runs that waited with an earlier turn, and
    the places of one view in the order of the turns. Each of the `gone` runs, which were never
    granted, may have been one of them."""
    least, most, ahead = 1, 1 + gone, 0
    for turn in turns if view.sample.places else ():
        place = view.sample.places.get(turn.job.job_id)
        if place is not None:
            low = max(least, ahead + 1)
            if not low <= place <= most:
                text = f"its place in the queue was {place} at {timestamp(view.sample.at)}"
                yield turn.named.found("slots.places", text, f"{low} to {most}", place)
            ahead = place
        least += (turn.run.heard or inf) < view.since and turn.free > view.until
        most += view.touched(turn.run.started or 0.0, turn.run.granted or 0.0)


def _idle(stage: StageBook, books: Books) -> Iterator[Finding]:
    """Expect no free place while a run waits; one that continues as new grants a moment later, by
    the longest hop of a run that nothing disturbed."""
    idle: list[SlotSample] = []
    most = min(TURN_OVER, SOON + HOPS * books.longest) if books.calm else TURN_OVER
    for sample in stage.samples:
        full = sample.limit is None or len(sample.holders) >= sample.limit
        idle = [] if full or not sample.waiting else [*idle[:LONG], sample]
        if len(idle) >= LONG and sample.at - idle[0].at >= most:
            first = idle[0]
            held = f"{len(first.holders)} of {first.limit} places were held"
            text = f"{held} from {timestamp(first.at)} on, and {first.waiting} waited"
            yield Subject(RUN, stage.number).found("slots.limit", text)
            return


def _permits(books: Books) -> Iterator[Finding]:
    """Expect rising numbers at each gate: a permit that was decided on after the close of another
    run has a higher number. At the slot, no number is missing."""
    permits = defaultdict[str, list[tuple[int, float, Execution, Subject]]](list)
    for job, run in books.runs:
        for signal in (s for s in run.signals if s.name.startswith(GRANTED)):
            number, gate = signal.body.get("token"), signal.name.removeprefix(GRANTED)
            if signal.body.get("run_id") == run.run_id and isinstance(number, int):
                named = Subject(job.job_id, job.stage)
                permits[gate].append((number, signal.at, run, named))
    known = all(run.granted is not None for _, run in books.runs)
    numbers = sorted(permits[SLOT], key=lambda each: each[:2])
    for (before, since, *_), (number, at, _, named) in pairwise(numbers) if known else ():
        # A semaphore that starts without state counts from its clock's milliseconds.
        rebuilt = since - SLOW <= number / 1000 <= at + SLOW
        if number > before + 1 and not (rebuilt or books.struck or books.foreign_jobs):
            text = f"no run has a permit between {before} and {number}"
            yield named.found("permit", text, before + 1, number)
    for gate, own in permits.items():
        closes = sorted((run.closed, number) for number, _, run, _ in own if run.closed is not None)
        highest = [*accumulate((number for _, number in closes), max)]
        for number, at, run, named in own:
            # Beside other holders, it may have been decided on long before it arrived.
            alone = gate != SLOT or books.limit == 1
            place = bisect_right(closes, (at if alone else run.started or 0.0, -1)) - 1
            if place >= 0 and number <= highest[place]:
                last = highest[place]
                text = f"its permit {number} is not above {last}, which had been given back"
                yield named.found("permit", text, f"above {last}", number)
