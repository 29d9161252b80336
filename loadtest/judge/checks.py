"""The report's checks of its own data: where one fails, its numbers are not to be trusted."""

from collections.abc import Iterator
from itertools import pairwise
from math import inf

from loadtest.books.model import ENDS, Books, StageBook
from loadtest.judge.callbacks import CallbackBook
from loadtest.judge.check import Check
from loadtest.judge.lanes import Lanes, parts
from loadtest.judge.mocks import mocks_agree

CLOCK_SLACK = 0.25
LITTLE_SLACK = 0.2
LITTLE_SAMPLES = 20
# Seconds by which a sample may miss a job's coming: its request is on its way to the keeper, and
# the API may show a view that is a second old. In a short stage that is a good part of the mean.
SAMPLE_LAG = 2.0


def checks_of_run(books: Books) -> Iterator[Check]:
    """What concerns the run as a whole."""
    jobs = len(books.jobs)
    yield Check("there are jobs", jobs > 0, f"{jobs} jobs in the books")
    unread = [str(problem) for problem in books.run.get("unread") or []]
    yield Check("every book could be read", not unread, "; ".join(unread) or "all read")
    yield _replays(books)
    if books.mocked:
        yield from mocks_agree(books)
    why = str(books.run.get("why"))
    yield Check("the run went to its end", why == "done", why)


def _replays(books: Books) -> Check:
    """Every kept history must lead the current code to the same commands."""
    name = "every kept history replays with the current code"
    found = books.replay
    if found is None:
        return Check(name, None, "not replayed: --replay-with named no program that could")
    replayed, kept, failures = found["replayed"], found["kept"], found["failures"]
    named = "; ".join(f"{job} {why}".strip() for job, why in list(failures.items())[:5])
    text = f"{replayed} of {kept} replayed, {len(failures)} failed"
    return Check(name, replayed == kept and not failures, f"{text}: {named}" if named else text)


def checks_of_stage(
    stage: StageBook, callbacks: CallbackBook, found: Lanes | None
) -> Iterator[Check]:
    """What concerns one stage."""
    yield _all_planned(stage)
    yield _conserved(stage)
    yield _clocks(stage)
    yield _order(stage)
    yield _versions(stage)
    yield _little(stage)
    if found is not None:
        whole = len(found.lanes) * (found.end - found.begin)
        total = sum(parts(found).values())
        text = f"parts {total:.3f} s, slots x makespan {whole:.3f} s"
        yield Check(
            "the parts add up to the makespan", abs(whole - total) < 0.001 * max(1, whole), text
        )
        kinds = sum(callbacks.fates.values())
        text = f"sent {callbacks.sent}, by fate {kinds}, not noted as sent {len(callbacks.unsent)}"
        yield Check("callbacks add up", callbacks.adds_up and not callbacks.unsent, text)


def _all_planned(stage: StageBook) -> Check:
    noted = stage.accepted + len(stage.refused)
    ok = noted == stage.planned_jobs and stage.why == "done"
    return Check(
        "every planned job was submitted and followed",
        ok,
        f"{noted} of {stage.planned_jobs}, the stage ended: {stage.why}",
    )


def _conserved(stage: StageBook) -> Check:
    statuses = [job.api[0].status for job in stage.jobs.values() if job.api]
    ended = sum(status in ENDS for status in statuses)
    accepted = stage.accepted
    text = f"{accepted} submitted, {ended} ended, {len(statuses) - ended} open"
    return Check("submitted = ended + open", accepted == len(statuses), text)


def _clocks(stage: StageBook) -> Check:
    """The API must have made the job while the runner waited for its answer."""
    off = [
        job.job_id
        for job in stage.jobs.values()
        if job.submit and job.api and job.api[0].created is not None
        if not job.submit.sent - CLOCK_SLACK
        <= job.api[0].created
        <= job.submit.answered + CLOCK_SLACK
    ]
    text = f"{len(off)} jobs made outside their request (slack {CLOCK_SLACK} s)"
    return Check("the clocks of runner and stack agree", not off, text)


def _order(stage: StageBook) -> Check:
    wrong = []
    for job in stage.jobs.values():
        for generation in job.generations:
            instants = [generation.accepted, generation.started, generation.finished]
            known = [at for at in instants if at is not None]
            if known != sorted(known):
                wrong.append(generation.external_id)
    return Check(
        "accepted <= started <= finished", not wrong, f"{len(wrong)} generations out of order"
    )


def _versions(stage: StageBook) -> Check:
    """A record's versions rise one by one, and percent never falls inside an attempt."""
    gaps, falls = [], []
    for job in stage.jobs.values():
        changes = job.record.transitions if job.record else ()
        for before, after in pairwise(changes):
            if after.version != before.version + 1:
                gaps.append(job.job_id)
            same = (after.step, after.attempt) == (before.step, before.attempt)
            if same and after.percent < before.percent:
                falls.append(job.job_id)
    text = f"{len(gaps)} gaps, {len(falls)} falls"
    return Check("versions without gaps, percent never falls", not gaps and not falls, text)


def _little(stage: StageBook) -> Check:
    """Little's law: jobs in the system by samples of the slot = arrivals x time by the records.

    Both sides are means over the time between the first and the last sample; a job that had not
    ended by then was there until then.
    """
    name = "Little's law (samples of the slot against the jobs' times)"
    samples = [s for s in stage.samples if s.waiting is not None]
    times = [
        (made, job.api[0].finished or inf)
        for job in stage.jobs.values()
        if job.api and (made := job.api[0].created) is not None
    ]
    if len(samples) < LITTLE_SAMPLES or not times:
        return Check(name, None, f"{len(samples)} samples are too few (from {LITTLE_SAMPLES})")
    seen = sum(len(s.holders) + (s.waiting or 0) for s in samples) / len(samples)
    first, last = samples[0].at, samples[-1].at
    inside = sum(max(0.0, min(end, last) - max(begin, first)) for begin, end in times)
    told = inside / (last - first)
    blur = SAMPLE_LAG * len(times) / (last - first)
    return Check(
        name,
        abs(seen - told) <= max(1.0, LITTLE_SLACK * told) + blur,
        f"{seen:.2f} in the system by samples, {told:.2f} by the jobs' own times",
    )
