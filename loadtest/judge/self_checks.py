"""The report's checks of its own data: where one fails, its numbers are not to be trusted."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any

from loadtest.books.facts import whole
from loadtest.books.model import ENDS, STEPS, Books, JobFacts, StageBook
from loadtest.books.seal import NONE
from loadtest.judge.clocks import offsets
from loadtest.judge.fates import CallbackBook
from loadtest.judge.intervals import sweep, vendor_intervals
from loadtest.judge.pace import Schedule, breakdown
from loadtest.times import duration

LITTLE_SLACK = 0.2
LITTLE_SAMPLES = 20
# Seconds by which a sample may miss a job's coming: its request is on its way to the semaphore, and
# the API may show a view that is a second old. In a short stage that is a good part of the mean.
SAMPLE_LAG = 2.0


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """One check of the report's own data: holds, does not, or could not be made (None)."""

    name: str
    ok: bool | None
    text: str


def checks_of_run(books: Books) -> Iterator[SelfCheck]:
    """What concerns the run as a whole."""
    jobs = len(books.jobs)
    yield SelfCheck("there are jobs", jobs > 0, f"{jobs} jobs in the books")
    unread = [str(problem) for problem in books.run.get("unread") or []]
    yield SelfCheck("every book could be read", not unread, "; ".join(unread) or "all read")
    torn = [f"{name}: {count}" for name, count in sorted(books.torn.items())]
    text = f"damaged lines: {', '.join(torn)}" if torn else "all whole"
    yield SelfCheck("every line of the raw records is whole", not torn, text)
    yield _sealed(books)
    yield _replays(books)
    if books.mocked:
        yield _decided(books)
    if books.mocks:
        yield from _mocks_agree(books)
    why = str(books.run.get("why"))
    yield SelfCheck("the run went to its end", why == "done", why)


def _sealed(books: Books) -> SelfCheck:
    """Nothing that was noted has changed since the run's end."""
    seal = books.seal
    if seal.root == NONE:
        text = "never sealed: the run was killed"
        return SelfCheck("the seal of the raw records is unbroken", False, text)
    text = "; ".join(seal.broken[:5]) or f"root {seal.root}"
    more = len(seal.broken) - 5
    text += f"; and {more} more" if more > 0 else ""
    return SelfCheck("the seal of the raw records is unbroken", not seal.broken, text)


def _replays(books: Books) -> SelfCheck:
    """Every kept history must lead the current code to the same commands."""
    name = "every kept history replays with the current code"
    found = books.replay
    if found is None:
        return SelfCheck(name, None, "not replayed: --replay-with named no program that could")
    replayed, kept, failures = found["replayed"], found["kept"], found["failures"]
    named = "; ".join(f"{job} {why}".strip() for job, why in list(failures.items())[:5])
    text = f"{replayed} of {kept} replayed, {len(failures)} failed"
    return SelfCheck(name, replayed == kept and not failures, f"{text}: {named}" if named else text)


def _decided(books: Books) -> SelfCheck:
    """Whether two generations overlapped is not decided where the clocks leave it open."""
    name = "the vendors' clocks decide what ran at once"
    limit = books.limit or max((stage.limit or 1 for stage in books.stages), default=1)
    certain = sweep(vendor_intervals(books), limit)
    possible = sweep(vendor_intervals(books, at_most=True), limit)
    unsure = ", ".join(
        f"{step} ± {duration(offset.unsure)}" for step, offset in offsets(books).items()
    )
    open_still = possible.violations - certain.violations
    if open_still <= 0 or possible.violation is None:
        return SelfCheck(name, True, f"known to: {unsure}")
    pair = possible.violation
    text = f"{pair.second} beside {pair.first}; the clocks are known to: {unsure}"
    return SelfCheck(name, None, f"not decided of {open_still} pair(s), such as {text}")


def _mocks_agree(books: Books) -> Iterator[SelfCheck]:
    """Their verdict on double charges is ours, and their books are whole."""
    verdicts = {step: _part(books, step, "verdict") for step in books.mocks}
    name = "the mocks' own verdict on charges agrees"
    if not all(isinstance(v.get("charged_twice"), list) for v in verdicts.values()):
        yield SelfCheck(name, None, "a mock gave no verdict")
    else:
        theirs = {str(i) for v in verdicts.values() for i in v["charged_twice"]}
        ours, known = _charged_twice(books), {job.job_id for job in books.jobs}
        theirs = {i for i in theirs if i.rsplit(".", 2)[0] in known}
        yield SelfCheck(name, theirs == ours, f"theirs {sorted(theirs)}, ours {sorted(ours)}")
    dropped = sum(whole(_part(books, step, "stats").get("ledger_dropped")) for step in STEPS)
    text = f"{dropped} rows were dropped" + (", of earlier runs perhaps" if dropped else "")
    yield SelfCheck("the mocks' ledgers are whole", True if not dropped else None, text)
    yield _faults_whole(books)


def _faults_whole(books: Books) -> SelfCheck:
    """A trace that has forgotten rows leaves faults without an outcome."""
    counts = [
        (whole(found.get("faults_recorded")), whole(found.get("faults_remembered")))
        for found in books.vendors.values()
        if isinstance(found, dict)
    ]
    lost = sum(recorded - remembered for recorded, remembered in counts)
    text = f"{sum(recorded for recorded, _ in counts)} injected, {lost} of them forgotten"
    return SelfCheck("every injected fault is remembered", True if lost <= 0 else None, text)


def _charged_twice(books: Books) -> set[str]:
    charges = Counter(g.external_id for job in books.jobs for g in job.generations if g.charged)
    return {str(external_id) for external_id, count in charges.items() if count > 1}


def _part(books: Books, step: str, name: str) -> dict[str, Any]:
    found = (books.vendors.get(step) or {}).get(name)
    return found if isinstance(found, dict) else {}


def checks_of_stage(
    stage: StageBook, callbacks: CallbackBook, found: Schedule | None
) -> Iterator[SelfCheck]:
    """What concerns one stage."""
    yield _all_planned(stage)
    yield _conserved(stage)
    yield _little(stage)
    if found is not None:
        yield _parts(stage, found)
        kinds = sum(callbacks.fates.values())
        text = f"sent {callbacks.sent}, by fate {kinds}, not noted as sent {len(callbacks.unsent)}"
        yield SelfCheck("callbacks add up", callbacks.adds_up and not callbacks.unsent, text)


def _parts(stage: StageBook, found: Schedule) -> SelfCheck:
    """Reckoned from the books once more, and not from the schedule that the parts are of."""
    jobs = list(stage.jobs.values())
    begins = [job.submission.planned for job in jobs if job.submission]
    begins += [g.accepted for job in jobs for g in job.generations if g.accepted is not None]
    ends = [end for job in jobs for end in _last(job)]
    total = sum(breakdown(found).values())
    whole = (stage.limit or 1) * (max(ends, default=0.0) - min(begins, default=0.0))
    text = f"parts {total:.3f} s, {stage.limit or 1} slot(s) from first to last {whole:.3f} s"
    holds = abs(whole - total) < 0.001 * max(1.0, whole)
    return SelfCheck("the parts add up to the slots' time", holds, text)


def _last(job: JobFacts) -> Iterator[float]:
    """When a job that a vendor has worked for let go of its slot."""
    if any(generation.accepted is not None for generation in job.generations):
        closed = job.execution.closed if job.execution else None
        yield from (end for end in (closed or job.finished,) if end is not None)
        yield from (g.finished for g in job.generations if g.finished is not None)


def _all_planned(stage: StageBook) -> SelfCheck:
    noted = stage.accepted + len(stage.refused)
    ok = noted == stage.planned_jobs and stage.why == "done"
    return SelfCheck(
        "every planned job was submitted and followed",
        ok,
        f"{noted} of {stage.planned_jobs}, the stage ended: {stage.why}",
    )


def _conserved(stage: StageBook) -> SelfCheck:
    statuses = [job.api[0].status for job in stage.jobs.values() if job.api]
    ended = sum(status in ENDS for status in statuses)
    accepted = stage.accepted
    text = f"{accepted} submitted, {ended} ended, {len(statuses) - ended} open"
    return SelfCheck("submitted = ended + open", accepted == len(statuses), text)


def _little(stage: StageBook) -> SelfCheck:
    """Little's law: jobs in the system by samples of the slot = arrivals x time by the records.

    Both sides are means over the time between the first and the last sample; a job that had not
    ended by then was there until then. A sample stands for the time around it: a machine without
    time samples seldom, just where jobs wait.
    """
    name = "Little's law (samples of the slot against the jobs' times)"
    samples = [s for s in stage.samples if s.waiting is not None]
    times = [
        (made, job.api[0].finished or inf)
        for job in stage.jobs.values()
        if job.api and (made := job.api[0].created) is not None
    ]
    if len(samples) < LITTLE_SAMPLES or not times:
        return SelfCheck(name, None, f"{len(samples)} samples are too few (from {LITTLE_SAMPLES})")
    first, last = samples[0].at, samples[-1].at
    counted = [(s.at, len(s.holders) + (s.waiting or 0)) for s in samples]
    pairs = [(then - at, n, more) for (at, n), (then, more) in pairwise(counted)]
    seen = sum(gap * (n + more) / 2 for gap, n, more in pairs) / (last - first)
    inside = sum(max(0.0, min(end, last) - max(begin, first)) for begin, end in times)
    told = inside / (last - first)
    # When in a long gap they came and went, nobody saw.
    unseen = sum(gap * abs(more - n) / 2 for gap, n, more in pairs if gap > SAMPLE_LAG)
    blur = (SAMPLE_LAG * len(times) + unseen) / (last - first)
    return SelfCheck(
        name,
        abs(seen - told) <= max(1.0, LITTLE_SLACK * told) + blur,
        f"{seen:.2f} in the system by samples, {told:.2f} by the jobs' own times",
    )
