"""Five books that share no code, and what of them does not agree, by job id."""

from collections.abc import Callable

from loadtest.books.model import ENDS, JobFacts, StageBook
from loadtest.judge.judge import Judgement
from loadtest.report.blocks import BAD, GOOD, Block, Cell, Notice, Section, Table, row

SHOWN = 100
_KINDS = ("lost", "duplicated", "orphaned", "charged twice", "contradiction", "still open")


def section(judgement: Judgement) -> Section:
    """The sums, the books beside each other, and every difference by name."""
    stages = judgement.books.stages
    lead = (
        "submitted = succeeded + degraded + failed + cancelled + still open, and still open must "
        "be 0. Each book is counted on its own; a difference is named below by job id."
    )
    blocks: list[Block] = [
        Table(
            ("#stage", "#submitted", "#ended", "#still open", "adds up"),
            list(map(_sum, stages)),
            "The sum",
        ),
        Table(
            ("book", *(f"#stage of {stage.planned_jobs}" for stage in stages)),
            [_book(name, count, stages) for name, count in _books(mocked=judgement.books.mocked)],
            "Jobs by book",
        ),
        Table(
            ("difference", *(f"#stage of {stage.planned_jobs}" for stage in stages)),
            [_difference(judgement, kind) for kind in _KINDS],
            "Differences",
        ),
    ]
    found = judgement.findings
    if found:
        rows = [row(f.kind, f.job_id, str(f.stage + 1), f.text) for f in found[:SHOWN]]
        blocks.append(Table(("what", "job", "stage", "in words"), rows, "Every difference by name"))
        if len(found) > SHOWN:
            blocks.append(Notice("info", f"{len(found) - SHOWN} more are in results.json."))
    else:
        blocks.append(Notice(GOOD, "The books agree in everything that they can say."))
    return Section("Conservation ledger", lead, blocks)


def _sum(stage: StageBook) -> tuple[Cell, ...]:
    statuses = [job.status for job in stage.jobs.values() if job.submissions]
    ended = sum(status in ENDS for status in statuses)
    holds = ended == stage.accepted
    return row(
        str(stage.planned_jobs),
        str(stage.accepted),
        str(ended),
        str(stage.accepted - ended),
        Cell("yes", GOOD) if holds else Cell("no", BAD),
    )


def _books(*, mocked: bool) -> list[tuple[str, Callable[[JobFacts], bool]]]:
    found: list[tuple[str, Callable[[JobFacts], bool]]] = [
        ("runner: accepted by the API", lambda job: bool(job.submissions)),
        ("API: listed and ended", lambda job: job.status in ENDS),
        ("Temporal: history closed", lambda job: bool(job.execution and job.execution.closed)),
        ("records: ended", lambda job: bool(job.record and job.record.status in ENDS)),
        ("files: video that decodes", lambda job: _stored(job, "video")),
    ]
    if mocked:
        found += [
            (
                "image service: an image that succeeded",
                lambda job: any(g.good for g in job.of("image")),
            ),
            (
                "video service: a video that succeeded",
                lambda job: any(g.good for g in job.of("video")),
            ),
        ]
    return [*found, ("receipts: a callback received", lambda job: bool(job.receipts))]


def _stored(job: JobFacts, kind: str) -> bool:
    stored = job.files.get(kind)
    return stored is not None and stored.problem is None


def _book(
    name: str, counts: Callable[[JobFacts], bool], stages: list[StageBook]
) -> tuple[Cell, ...]:
    return row(name, *(str(sum(map(counts, stage.jobs.values()))) for stage in stages))


def _difference(judgement: Judgement, kind: str) -> tuple[Cell, ...]:
    counts = [stage.counts[kind] for stage in judgement.stages]
    return row(kind, *(Cell(str(count), BAD if count else "") for count in counts))
