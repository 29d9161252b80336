"""The run is the one that was planned; its clocks and its samples of the slot can be trusted."""

from collections import Counter
from collections.abc import Iterator
from math import inf
from statistics import median

from loadtest.books.facts import SlotSample
from loadtest.books.model import STEPS, Books, JobFacts, StageBook
from loadtest.judge.clocks import SLACK, at_moment, contradict
from loadtest.judge.findings import Finding
from loadtest.judge.rules.common import Texts, met, of_run, of_stage
from loadtest.judge.threshold import DEFAULTS, parse
from loadtest.times import duration, timestamp

PLAN = "plan"
EXACT = 1e-4


def plan(books: Books) -> Iterator[Finding]:
    """What of the plan is missing, or was not done."""
    yield from of_run(books, PLAN, _conditions(books))
    yield from of_run(books, PLAN, _stages(books))
    yield from of_run(books, PLAN, _limit(books))
    for stage in books.stages:
        yield from of_stage(stage, PLAN, _submissions(stage, str(books.run.get("run_id"))))
        yield from of_stage(stage, PLAN, _planned(stage, books.run["plan"].get("rate")))
        yield from of_stage(stage, PLAN, _tagged(stage))


def _conditions(books: Books) -> Texts:
    """Every default is there, or another condition on its metric."""
    held = {parse(text).metric for text in books.run["plan"]["thresholds"]}
    for text in DEFAULTS:
        if parse(text).metric not in held:
            yield f"it is not held against {text}"


def _stages(books: Books) -> Texts:
    planned = books.run["plan"]["stages"]
    done = [stage.planned_jobs for stage in books.stages]
    if done != planned[: len(done)] or (books.done and len(done) != len(planned)):
        yield f"planned were stages of {planned}, there are stages of {done}"
    for step in STEPS:
        if step not in books.mocks and books.ledgers.get(step):
            yield f"it says that the {step} service was no mock, and has its ledger"


def _limit(books: Books) -> Texts:
    if books.limit is None:
        yield "the limit at its beginning is not known"


def _planned(stage: StageBook, rate: float | None) -> Iterator[tuple[str, str]]:
    """Planned instants are those of the plan: all at once, or one behind the other at its rate."""
    sent = [each for job in stage.jobs.values() for each in job.submissions]
    begins = {str(each.job_id): each.planned - (each.index / rate if rate else 0) for each in sent}
    usual = median(begins.values()) if begins else 0.0
    for job_id, begin in begins.items():
        if abs(begin - usual) > EXACT:
            yield job_id, f"it was planned {duration(begin - usual)} off its place in the plan"


def _tagged(stage: StageBook) -> Iterator[tuple[str, str]]:
    for job in stage.jobs.values():
        for shown in job.api:
            if shown.tag is not None and shown.tag != stage.tag:
                yield job.job_id, f"it is tagged {shown.tag}, its stage {stage.tag}"


def _submissions(stage: StageBook, run_id: str) -> Iterator[tuple[str, str]]:
    """One submission for each place of the stage, under a key of its own."""
    sent = [each for job in stage.jobs.values() for each in job.submissions]
    places = Counter(each.index for each in [*sent, *stage.refused])
    for each in sent:
        if places[each.index] > 1 or not 0 <= each.index < stage.planned_jobs:
            yield str(each.job_id), f"it is number {each.index} of its stage, as another one is"
        if each.key is not None and each.key != f"{run_id}-{stage.number}-{each.index}":
            yield str(each.job_id), f"it was sent under the key {each.key}"


CLOCK = "clock"
JUMP, DRIFT = 0.005, 1e-4
"""Seconds that a clock may move in a run, and for each second of it."""


def clock(books: Books) -> Iterator[Finding]:
    """Clocks that can't be trusted."""
    if books.done:
        for step in books.mocks:
            yield from of_run(books, CLOCK, _of_vendor(books, step))


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


SLOT = "slot"
LAG = 5.0
"""The API may show a view that is seconds old where much is asked of it."""


def slot(books: Books) -> Iterator[Finding]:
    """Samples that the limit or the jobs' own times forbid."""
    known = {job.job_id: job for job in books.jobs}
    for stage in books.stages:
        yield from of_stage(stage, SLOT, _samples(stage, known, books))
        yield from of_run(books, SLOT, _limits(stage, books))


def _limits(stage: StageBook, books: Books) -> Texts:
    """The limit of the beginning holds to the end."""
    if books.limit is None:
        return
    others = sorted(stage.limits_seen - {books.limit})
    if others:
        yield f"the limit is {books.limit}, and was seen as {', '.join(map(str, others))}"
    moments = [sample.at for sample in stage.samples]
    outside = [at for at in moments if not stage.began <= at <= stage.ended]
    if outside or moments != sorted(moments):
        yield f"samples of the slot are not of stage {stage.name}, or not in order"
    if not stage.samples and stage.ended - stage.began > LAG:
        yield f"nobody looked at the slot in stage {stage.name}"


def _samples(
    stage: StageBook, known: dict[str, JobFacts], books: Books
) -> Iterator[tuple[str, str]]:
    for sample in stage.samples:
        if books.limit is not None and len(set(sample.holders)) > books.limit:
            names = ", ".join(sample.holders)
            yield sample.holders[-1], f"{names} held the slot at {timestamp(sample.at)}"
        for holder in sample.holders:
            if holder not in known and holder not in books.foreign_jobs:
                yield holder, f"held the slot at {timestamp(sample.at)}, and no book knows it"
            elif holder in known and not _in_time(known[holder], sample):
                yield holder, f"held the slot at {timestamp(sample.at)}, which was not its time"


def _in_time(job: JobFacts, sample: SlotSample) -> bool:
    """From the permit to the end; one that ended badly holds on until it is cleared up."""
    begins = [run.granted for run in job.executions if run.granted is not None]
    begins += [at for at in (job.api[0].started if job.api else None,) if at is not None]
    ends = [run.closed for run in job.executions if run.closed is not None]
    cleared = job.status == "succeeded" and not met(job)
    return min(begins, default=-inf) - LAG <= sample.at and (
        not cleared or sample.at <= max(ends, default=inf) + LAG
    )
