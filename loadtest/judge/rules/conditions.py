"""The run is the one that was planned, and is held against all that it was to be held against."""

from collections import Counter
from collections.abc import Iterator
from statistics import median

from loadtest.books.model import Books, StageBook
from loadtest.judge.findings import Finding
from loadtest.judge.rules.common import Texts, of_run, of_stage
from loadtest.judge.threshold import DEFAULTS, parse
from loadtest.times import duration

KIND = "plan"
EXACT = 1e-4


def broken(books: Books) -> Iterator[Finding]:
    """What of the plan is missing, or was not done."""
    yield from of_run(books, KIND, _conditions(books))
    yield from of_run(books, KIND, _stages(books))
    yield from of_run(books, KIND, _limit(books))
    for stage in books.stages:
        yield from of_stage(stage, KIND, _submissions(stage, str(books.run.get("run_id"))))
        yield from of_stage(stage, KIND, _planned(stage, books.run["plan"].get("rate")))
        yield from of_stage(stage, KIND, _tagged(stage))


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
    if not books.mocked and any(books.ledgers.values()):
        yield "it says that the mocks were off, and has their ledgers"


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
