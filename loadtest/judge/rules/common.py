"""What the rules share: the jobs, how a finding is made, and what excuses a job."""

from collections.abc import Callable, Iterator

from loadtest.books.model import Books, JobFacts, StageBook
from loadtest.judge.findings import Finding

RUN = "the run"
NEEDED = {"succeeded": ("image", "video"), "degraded": ("image",)}
"""What a job of this end has stored."""

Texts = Iterator[str]
OfJob = Callable[[JobFacts, Books], Texts]


def each(books: Books, kind: str, *rules: OfJob) -> Iterator[Finding]:
    """What these rules say of every job that has ended; one that goes on is not at rest."""
    for stage in books.stages:
        for job in stage.jobs.values():
            if job.ended:
                for rule in rules:
                    for text in rule(job, books):
                        yield Finding(kind, job.job_id, stage.number, text)


def of_run(books: Books, kind: str, texts: Iterator[str]) -> Iterator[Finding]:
    """What is wrong with the run and no job's alone."""
    last = max((stage.number for stage in books.stages), default=0)
    for text in texts:
        yield Finding(kind, RUN, last, text)


def of_stage(stage: StageBook, kind: str, named: Iterator[tuple[str, str]]) -> Iterator[Finding]:
    """What a stage shows of jobs, which need not be its own."""
    for job_id, text in named:
        yield Finding(kind, job_id, stage.number, text)


def met(job: JobFacts, *places: str) -> bool:
    """Whether the mocks injected a fault at one of these points of the job's life, or at any."""
    return any(not places or fault.where in places for fault in job.faults)


def thrown(job: JobFacts) -> bool:
    """Whether the server threw work of the job's workflow away, as it does on a machine that has
    no time: what a local activity had written by then is there, and no history tells of it."""
    return any(told.thrown for told in job.told.values())


def once(job: JobFacts) -> bool:
    """Whether the job had a single run: a reset begins parts of its life again."""
    return len(job.executions) <= 1
