"""The samples of the slot: never more holders than the limit, and each of them at its time."""

from collections.abc import Iterator
from math import inf

from loadtest.books.facts import SlotSample
from loadtest.books.model import Books, JobFacts, StageBook
from loadtest.judge.findings import Finding
from loadtest.judge.rules.common import Texts, met, of_run, of_stage
from loadtest.times import timestamp

KIND = "slot"
LAG = 5.0
"""The API may show a view that is seconds old where much is asked of it."""


def broken(books: Books) -> Iterator[Finding]:
    """Samples that the limit or the jobs' own times forbid."""
    known = {job.job_id: job for job in books.jobs}
    for stage in books.stages:
        yield from of_stage(stage, KIND, _samples(stage, known, books))
        yield from of_run(books, KIND, _limits(stage, books))


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
