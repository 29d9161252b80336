"""Which job followed which on a slot, and where each slot's time went; the parts fill it all."""

import heapq
from dataclasses import dataclass, field

from loadtest.books.facts import Generation
from loadtest.books.model import JobFacts, StageBook

SERVICE, RETRIES, BACK_OFF = "service", "failed generations", "back-off"
BETWEEN, CALLBACK, STORING = "image to video", "callback or poll", "storing and closing"
HAND_OVER, SUBMISSION, NO_WORK = "hand-over", "submission", "no work"
# More at once is no limit of ours.
MOST_SLOTS = 1000
PARTS = (SERVICE, RETRIES, BACK_OFF, BETWEEN, CALLBACK, STORING, HAND_OVER, SUBMISSION, NO_WORK)


@dataclass(frozen=True, slots=True)
class Hold:
    """A job holding a slot: first acceptance by a vendor to the close of its run."""

    job: JobFacts
    asked: float
    begin: float
    vendor_end: float
    end: float


@dataclass(frozen=True, slots=True)
class Gap:
    """A job that waited, and the job whose slot it got."""

    before: str
    after: str
    hand_over: float
    vendor_idle: float


@dataclass(slots=True)
class Schedule:
    """The slots of a stage, each with the jobs that it served in order."""

    begin: float
    end: float
    slots: list[list[Hold]]
    gaps: list[Gap] = field(default_factory=list)


def schedule(stage: StageBook) -> Schedule | None:
    """Lay a stage's jobs onto its slots; None without vendors' books or jobs."""
    holds = sorted(filter(None, map(_hold, stage.jobs.values())), key=lambda hold: hold.begin)
    if not holds:
        return None
    planned = [job.submission.planned for job in stage.jobs.values() if job.submission]
    begin = min([*planned, holds[0].begin])
    found = Schedule(
        begin,
        max(hold.end for hold in holds),
        [[] for _ in range(min(stage.limit or 1, MOST_SLOTS))],
    )
    free = [(float("-inf"), number) for number in range(len(found.slots))]
    heapq.heapify(free)
    # The books don't say which slot a job had: of several, the one that fell free first is the one
    # that whoever began next had waited for.
    for hold in holds:
        _, number = heapq.heappop(free)
        slot = found.slots[number]
        if slot and hold.asked <= slot[-1].end:
            found.gaps.append(_gap(slot[-1], hold))
        slot.append(hold)
        heapq.heappush(free, (hold.end, number))
    return found


def breakdown(found: Schedule) -> dict[str, float]:
    """Seconds of all slots together, by what they went to; they add up to slots x makespan."""
    spent = dict.fromkeys(PARTS, 0.0)
    for slot in found.slots:
        cursor = found.begin
        for place, hold in enumerate(slot):
            if place and hold.asked <= slot[place - 1].end:
                cursor = _spend(spent, HAND_OVER, cursor, hold.begin)
            else:
                cursor = _spend(spent, NO_WORK, cursor, min(hold.asked, hold.begin))
                cursor = _spend(spent, SUBMISSION, cursor, hold.begin)
            cursor = _spend_hold(spent, hold, cursor)
        _spend(spent, NO_WORK, cursor, found.end)
    return spent


def _spend_hold(spent: dict[str, float], hold: Hold, cursor: float) -> float:
    last = {g.step: g for g in hold.job.generations if g.good}
    before: Generation | None = None
    for generation in hold.job.generations:
        if generation.accepted is None:
            continue
        same = before is not None and before.step == generation.step
        cursor = _spend(spent, BACK_OFF if same else BETWEEN, cursor, generation.accepted)
        useful = last.get(generation.step) is generation
        until = min(generation.finished or hold.end, hold.end)
        cursor = _spend(spent, SERVICE if useful else RETRIES, cursor, until)
        before = generation
    if before is not None and before.step == "video":
        cursor = _spend(
            spent,
            CALLBACK,
            cursor,
            min(_noticed(hold.job, hold.vendor_end), hold.end),
        )
    return _spend(spent, STORING, cursor, hold.end)


def _noticed(job: JobFacts, since: float) -> float:
    """When the job first moved again after its last generation: a callback, or a poll."""
    run = job.execution
    if run is None:
        return since
    moments = [at for name, at in run.signals if name == "kling_done"]
    moments += [activity.ended for activity in run.activities if activity.ended is not None]
    return min((at for at in moments if at >= since), default=since)


def _spend(spent: dict[str, float], part: str, begin: float, end: float) -> float:
    if end <= begin:
        return begin
    spent[part] += end - begin
    return end


def _hold(job: JobFacts) -> Hold | None:
    accepted = [g.accepted for g in job.generations if g.accepted is not None]
    run = job.execution
    end = (run.closed if run else None) or job.finished
    if not accepted or end is None:
        return None
    vendor_end = max([g.finished for g in job.generations if g.finished is not None] or [end])
    asked = job.api[0].created if job.api else None
    if asked is None:
        asked = job.submission.sent if job.submission else min(accepted)
    return Hold(job, asked, min(accepted), vendor_end, max(end, vendor_end))


def _gap(before: Hold, after: Hold) -> Gap:
    return Gap(
        before.job.job_id,
        after.job.job_id,
        after.begin - before.end,
        after.begin - before.vendor_end,
    )
