"""The offset of each clock from the runner's, its bounds, and whether a clock has stepped.

A vendor's clock is read before and after the run. That of Temporal's server is known by every
submission: the run was started between the runner's sending and its answer. The receiver's is known
by every callback: it was received between its sending and its signal. The runner's own is held
against one that nobody can set.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from loadtest.books.facts import Reading
from loadtest.books.model import Books
from loadtest.times import duration, timestamp

SERVER, RUNNER, RECEIVER, API = "server", "runner", "receiver", "api"
RATE = 0.01
"""By how much the rate of a clock may be off a steady one's: what slews the one slews the other."""
JUMP, DRIFT = 0.02, 5e-4
"""Seconds that a clock may drift in a run, and in each second of it, because it may be slewed."""
FAR = 0.25
"""Seconds that a clock may be off the runner's before instants can't be compared."""
UNREAD, AT_WORK = 3.0, 6
"""Seconds without a reading of the runner's clock, and looks at the slot in them: it reads its
clock with each look."""
ANSWERS = 3
"""Looks at the API's processor time in them, each some two seconds after the one before."""
SKIPPED = 3
"""Readings of its clock between two looks at the slot, of which one belongs to the later look: two
looks are missing."""
UNANSWERED = 2.0
"""A look that the API can't answer takes it some seconds: it waits for the semaphore."""
SLOW = 2.0
"""Seconds within which a service on a busy machine does what it does at once."""
OWN = 0.005
"""Seconds by which processes of one machine may read their clock differently."""


@dataclass(frozen=True, slots=True)
class Offset:
    """Bounds of a clock minus the runner's; both are 0 if it is unknown."""

    low: float = 0.0
    high: float = 0.0

    def latest(self, at: float) -> float:
        """Return an instant of this clock by the runner's, at the latest."""
        return at - self.low

    def earliest(self, at: float) -> float:
        return at - self.high


Offsets = dict[str, Offset]
Times = list[float]


@dataclass(slots=True)
class Clocks:
    """The offsets of all clocks of a run."""

    offsets: Offsets
    stepped: list[str] = field(default_factory=list)
    """When a clock was set in the run, and by how much; no instant can be judged then."""
    unknown: list[str] = field(default_factory=list)
    """Clocks without a reading at both ends, or for a while."""

    def latest(self, book: str, at: float) -> float:
        """Return an instant of a book's clock by the runner's, at the latest."""
        return self.offsets.get(book, Offset()).latest(at) + OWN

    def earliest(self, book: str, at: float) -> float:
        return self.offsets.get(book, Offset()).earliest(at) - OWN

    def between(self, book: str, other: str) -> float:
        """Return by how much a cause by one clock may lie after its effect by the other."""
        ours, theirs = self.offsets.get(book, Offset()), self.offsets.get(other, Offset())
        return max(0.0, ours.high - theirs.low) + OWN


def clocks(books: Books) -> Clocks:
    """Return every clock's offset, by readings and submissions."""
    found = Clocks({step: _both(books, step) for step in books.mocks})
    found.offsets[SERVER] = _server(books, found.offsets)
    found.offsets[RECEIVER] = _receiver(books, found.offsets)
    found.stepped = [*_runner_stepped(books)]
    found.unknown = [*_runner_unread(books)]
    began = float(books.run.get("began_at") or 0.0)
    lasted = max(0.0, float(books.run.get("ended_at") or began) - began)
    for step in books.mocks if books.done else ():
        begin, end = at_moment(books, step, "begin"), at_moment(books, step, "end")
        if begin is None or end is None:
            found.unknown.append(f"the {step} service's clock was not read at both ends of the run")
            continue
        moved = max(begin.low - end.high, end.low - begin.high)
        if moved > JUMP + DRIFT * lasted:
            text = f"the {step} service's clock moved by {duration(moved)} in the run"
            found.stepped.append(text)
    return found


def far(books: Books, found: Clocks) -> Iterator[str]:
    """Return clocks too far off the runner's, and impossible readings."""
    for name, offset in found.offsets.items():
        off = max(offset.low, -offset.high)
        if off > FAR:
            yield f"the clock of the {name} is {duration(off)} off the runner's"
    if abs((rate := _rate(books)) - 1) > RATE:
        yield f"the runner's clock ran at {rate:.2f} of the rate of its steady one all the time"
    for step in books.mocks:
        for moment in ("begin", "end"):
            known = _known(r for r in books.clocks if (r.service, r.moment) == (step, moment))
            if known and max(low for low, _ in known) > min(high for _, high in known) + OWN:
                yield f"the {step} service's clock can't be what its readings say at the {moment}"


def at_moment(books: Books, step: str, moment: str) -> Offset | None:
    """Return the offset by the readings of one moment; None without any."""
    known = _known(r for r in books.clocks if (r.service, r.moment) == (step, moment))
    if not known:
        return None
    low, high = max(low for low, _ in known), min(high for _, high in known)
    return Offset(min(low, high), max(low, high))


def _both(books: Books, step: str) -> Offset:
    found = [o for moment in ("begin", "end") if (o := at_moment(books, step, moment))]
    if not found:
        return Offset()
    low, high = max(o.low for o in found), min(o.high for o in found)
    if low <= high:
        return Offset(low, high)
    # It moved in between: each value between them is possible.
    return Offset(min(o.low for o in found), max(o.high for o in found))


def _known(readings: Iterable[Reading]) -> list[tuple[float, float]]:
    return [(r.theirs - r.answered, r.theirs - r.sent) for r in readings if r.theirs is not None]


def _server(books: Books, vendors: Offsets) -> Offset:
    """Return the offset that most submissions and video orders allow; a false one is outvoted."""
    brackets = [
        (started - sent.answered, started - sent.sent)
        for job in books.jobs
        for sent in job.submissions[:1]
        if job.executions and (started := job.executions[0].started) is not None
    ]
    # An activity that only orders is short, and its vendor accepts while it runs.
    for job in books.jobs:
        made = {g.vendor_id: g for g in job.generations if g.accepted is not None}
        for each in job.activities:
            row = made.get(str(each.result.get("vendor_id")))
            whole = each.started is not None and each.ended is not None and each.attempt == 1
            if row is not None and whole and each.result.get("accepted_at"):
                off, at = vendors.get(row.step, Offset()), row.accepted or 0.0
                low, high = (each.started or 0.0) - at, (each.ended or 0.0) - at
                brackets.append((low + off.low, high + off.high))
    return _agreed(brackets) if brackets else Offset()


def _receiver(books: Books, known: Offsets) -> Offset:
    """Return the offset that most callbacks allow which were sent, received and signalled once."""
    brackets = []
    for job in books.jobs:
        found = defaultdict[tuple[str, str], tuple[Times, Times, Times]](lambda: ([], [], []))
        for made in job.generations:
            off = known.get(made.step, Offset())
            for each in made.callbacks:
                if each.sent is not None:
                    found[made.vendor_id, each.status][0].append(off.earliest(each.sent))
        for receipt in job.receipts:
            if receipt.at is not None:
                found[receipt.change][1].append(receipt.at)
        for signal in job.called_back:
            found[signal.change][2].append(known[SERVER].latest(signal.at))
        for times in found.values():
            match times:
                case [sent], [received], [signalled]:
                    brackets.append((received - signalled, received - sent))
    return _agreed(brackets) if brackets else Offset(-FAR, FAR)


def _agreed(brackets: list[tuple[float, float]]) -> Offset:
    """Return the offset that the most brackets allow: their overlap around it."""
    edges = sorted([(low, 0) for low, _ in brackets] + [(high, 1) for _, high in brackets])
    depth = deepest = 0
    best = edges[0][0]
    for at, ends in edges:
        depth += -1 if ends else 1
        if depth > deepest:
            deepest, best = depth, at
    inside = [(low, high) for low, high in brackets if low <= best <= high]
    return Offset(max(low for low, _ in inside), min(high for _, high in inside))


def _runner_unread(books: Books) -> Iterator[str]:
    """Return when the runner's clock was not read, though the runner was at work: it looked at the
    slot, or at the API's processor time. The clock may have been set there and back. And when the
    runner did not look at the slot, though its clock was read at its pace, every service answered,
    and the slot was granted."""
    looks = sorted(sample.at for stage in books.stages for sample in stage.samples)
    readings = sorted(reading.sent for reading in books.clocks if reading.service == RUNNER)
    grants = sorted(run.granted or 0.0 for _, run in books.granted())
    answers = [at for at, _ in books.processes.get(API, ())]
    gaps = {*_gaps(readings, looks, many=AT_WORK), *_gaps(readings, answers, many=ANSWERS)}
    for before, after in sorted(gaps):
        if after - before > UNREAD:
            yield f"the runner's clock was not read for {duration(after - before)}"
    quick = [after for before, after in pairwise(readings) if after - before < UNANSWERED]
    for before, after in _gaps(looks, quick, many=SKIPPED) if books.calm else ():
        if bisect_right(grants, before + FAR) < bisect_left(grants, after - FAR):
            yield f"the slot was not read for {duration(after - before)}"


def _gaps(times: Times, others: Times, *, many: int) -> Iterator[tuple[float, float]]:
    """Return the gaps between two times in which there are so many of the others."""
    for before, after in pairwise(times):
        seen = bisect_left(others, after) - bisect_right(others, before)
        if seen >= many:
            yield before, after


def _own(books: Books) -> Iterator[tuple[Reading, float, float]]:
    """Return each reading of the runner's own clock but the first, with the seconds since the one
    before by this clock and by a steady one."""
    readings = [r for r in books.clocks if r.service == RUNNER and r.theirs is not None]
    for before, after in pairwise(readings):
        yield after, after.sent - before.sent, (after.theirs or 0.0) - (before.theirs or 0.0)


def _rate(books: Books) -> float:
    """Return the usual rate of the runner's clock by a steady one."""
    rates = [told / ran for _, told, ran in _own(books) if ran > 0]
    return median(rates) if rates else 1.0


def _runner_stepped(books: Books) -> Iterator[str]:
    """Return when the runner's clock was set: when it departs from a steady one."""
    rate = _rate(books)
    for after, told, ran in _own(books):
        moved = told - ran * (rate if abs(rate - 1) > RATE else 1.0)
        if abs(moved) > JUMP + DRIFT * max(0.0, ran):
            yield f"the clock stepped by {duration(moved)} at {timestamp(after.sent)}"
