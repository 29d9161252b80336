"""Whether jobs fare worse the longer a run goes on; only said where there are jobs enough."""

from itertools import pairwise
from statistics import median

from loadtest.books.model import JobFacts, StageBook
from loadtest.judge.judge import Judgement
from loadtest.report.blocks import Block, Cell, Table, row
from loadtest.times import duration

FEWEST, WINDOWS = 50, 10
_HEADS = (
    "#jobs", "#until", "#median time to end", "#median on the slot", "#median events", "#kB stored",
)  # fmt: skip


def drift(judgement: Judgement) -> list[Block]:
    """A table per stage that is long enough: ten windows of equal numbers of jobs."""
    return [
        Table(
            (
                "#jobs",
                "#until",
                "#median time to end",
                "#median on the slot",
                "#median events",
                "#kB stored",
            ),
            _windows(stage),
            f"Stage {stage.name} in {WINDOWS} parts, in the order of the ends",
        )
        for stage in judgement.books.stages
        if sum(job.finished is not None for job in stage.jobs.values()) >= FEWEST
    ]


def _windows(stage: StageBook) -> list[tuple[Cell, ...]]:
    ended = sorted(
        (job for job in stage.jobs.values() if job.finished is not None),
        key=lambda job: job.finished or 0.0,
    )
    bounds = [len(ended) * place // WINDOWS for place in range(WINDOWS + 1)]
    return [
        _window(stage, ended[low:high], f"{low + 1} to {high}") for low, high in pairwise(bounds)
    ]


def _window(stage: StageBook, jobs: list[JobFacts], name: str) -> tuple[Cell, ...]:
    latency = [job.latency for job in jobs if job.latency is not None]
    busy = [
        job.finished - job.api[0].started
        for job in jobs
        if job.finished is not None and job.api[0].started is not None
    ]
    events = [job.execution.events for job in jobs if job.execution]
    stored = [sum(file.bytes for file in job.files.values()) for job in jobs if job.files]
    return row(
        name,
        duration((jobs[-1].finished or stage.began) - stage.began),
        duration(median(latency)) if latency else None,
        duration(median(busy)) if busy else None,
        f"{median(events):.0f}" if events else None,
        f"{median(stored) / 1000:.0f}" if stored else None,
    )
