"""Which job followed which on a slot, and where each slot's time went; the parts fill it all."""

import heapq
from dataclasses import dataclass, field

from loadtest.books.model import Generation, JobFacts, StageBook
from loadtest.judge.spans import noticed

SERVICE, RETRIES, BACK_OFF = "service", "failed generations", "back-off"
BETWEEN, CALLBACK, STORING = "image to video", "callback or poll", "storing and closing"
HAND_OVER, SUBMISSION, NO_WORK = "hand-over", "submission", "no work"
PARTS = (SERVICE, RETRIES, BACK_OFF, BETWEEN, CALLBACK, STORING, HAND_OVER, SUBMISSION, NO_WORK)


@dataclass(frozen=True, slots=True)
class Work:
    """A job's stay on a slot: first acceptance by a vendor to the close of its run."""

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
class Lanes:
    """The slots of a stage, each with the jobs that it served in order."""

    begin: float
    end: float
    lanes: list[list[Work]]
    gaps: list[Gap] = field(default_factory=list)


def lanes(stage: StageBook) -> Lanes | None:
    """Lay a stage's jobs onto its slots; None without vendors' books or jobs."""
    works = sorted(filter(None, map(_work, stage.jobs.values())), key=lambda work: work.begin)
    if not works:
        return None
    planned = [job.submit.planned for job in stage.jobs.values() if job.submit]
    begin = min([*planned, works[0].begin])
    found = Lanes(begin, max(work.end for work in works), [[] for _ in range(stage.limit or 1)])
    free = [(float("-inf"), number) for number in range(len(found.lanes))]
    heapq.heapify(free)
    for work in works:
        _, number = heapq.heappop(free)
        lane = found.lanes[number]
        if lane and work.asked <= lane[-1].end:
            found.gaps.append(_gap(lane[-1], work))
        lane.append(work)
        heapq.heappush(free, (work.end, number))
    return found


def parts(found: Lanes) -> dict[str, float]:
    """Seconds of all slots together, by what they went to; they add up to slots x makespan."""
    spent = dict.fromkeys(PARTS, 0.0)
    for lane in found.lanes:
        cursor = found.begin
        for place, work in enumerate(lane):
            if place and work.asked <= lane[place - 1].end:
                cursor = _spend(spent, HAND_OVER, cursor, work.begin)
            else:
                cursor = _spend(spent, NO_WORK, cursor, min(work.asked, work.begin))
                cursor = _spend(spent, SUBMISSION, cursor, work.begin)
            cursor = _spend_work(spent, work, cursor)
        _spend(spent, NO_WORK, cursor, found.end)
    return spent


def _spend_work(spent: dict[str, float], work: Work, cursor: float) -> float:
    last = {g.step: g for g in work.job.generations if g.good}
    before: Generation | None = None
    for generation in work.job.generations:
        if generation.accepted is None:
            continue
        same = before is not None and before.step == generation.step
        cursor = _spend(spent, BACK_OFF if same else BETWEEN, cursor, generation.accepted)
        useful = last.get(generation.step) is generation
        until = min(generation.finished or work.end, work.end)
        cursor = _spend(spent, SERVICE if useful else RETRIES, cursor, until)
        before = generation
    if before is not None and before.step == "video":
        cursor = _spend(spent, CALLBACK, cursor, min(noticed(work.job, work.vendor_end), work.end))
    return _spend(spent, STORING, cursor, work.end)


def _spend(spent: dict[str, float], part: str, begin: float, end: float) -> float:
    if end <= begin:
        return begin
    spent[part] += end - begin
    return end


def _work(job: JobFacts) -> Work | None:
    accepted = [g.accepted for g in job.generations if g.accepted is not None]
    run = job.execution
    end = (run.closed if run else None) or job.finished
    if not accepted or end is None:
        return None
    vendor_end = max([g.finished for g in job.generations if g.finished is not None] or [end])
    asked = job.api[0].created if job.api else None
    if asked is None:
        asked = job.submit.sent if job.submit else min(accepted)
    return Work(job, asked, min(accepted), vendor_end, max(end, vendor_end))


def _gap(before: Work, after: Work) -> Gap:
    return Gap(
        before.job.job_id,
        after.job.job_id,
        after.begin - before.end,
        after.begin - before.vendor_end,
    )
