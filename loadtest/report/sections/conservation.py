"""What went in came out, by each book, and what of the books does not agree, by job id."""

from collections.abc import Callable

from loadtest.books.model import ENDS, JobFacts, StageBook
from loadtest.books.witnesses import (
    FILES,
    LEDGERS,
    RECEIPTS,
    RECORDS,
    RUNNER,
    TEMPORAL,
    Witness,
    codes,
    witnesses,
)
from loadtest.judge.judge import Judgement
from loadtest.report.blocks import BAD, GOOD, Block, Cell, Notice, Section, Table, own, row
from loadtest.report.links import history_link

SHOWN = 100
_KINDS = ("lost", "duplicated", "orphaned", "charged twice", "contradiction", "still open")


def section(judgement: Judgement) -> Section:
    """The sums, the books beside each other, and every difference by name."""
    stages = judgement.books.stages
    lead = (
        "submitted = succeeded + degraded + failed + cancelled + still open, and still open must "
        f"be 0. {_counted(mocked=judgement.books.mocked)} A difference is named below by job id."
    )
    blocks: list[Block] = [
        Table(
            ("stage", "#submitted", "#ended", "#still open", "adds up"),
            list(map(_sum, stages)),
            "The sum",
        ),
        Table(
            ("book", "kept by", "jobs", *(f"#stage {stage.name}" for stage in stages)),
            [
                _book(book, text, counts, stages=stages)
                for book, text, counts in _COUNTED
                if book in witnesses(mocked=judgement.books.mocked)
            ],
            "Jobs by book",
        ),
        Table(
            ("difference", *(f"#stage {stage.name}" for stage in stages)),
            [_difference(judgement, kind) for kind in _KINDS],
            "Differences",
        ),
    ]
    found = judgement.findings
    if found:
        name = judgement.books.stage_name
        jobs = {job.job_id: job for job in judgement.books.jobs}
        rows = [row(f.kind, _linked(f.job_id, jobs), name(f.stage), f.text) for f in found[:SHOWN]]
        blocks.append(Table(("what", "job", "stage", "in words"), rows, "Every difference by name"))
        if len(found) > SHOWN:
            blocks.append(Notice("info", f"{len(found) - SHOWN} more are in results.json."))
    else:
        blocks.append(Notice(GOOD, "The books agree in everything that they can say."))
    return Section("Conservation ledger", lead, blocks)


def _linked(job_id: str, jobs: dict[str, JobFacts]) -> Cell:
    job = jobs.get(job_id)
    return own(job_id, href=history_link(job) if job else "")


def _sum(stage: StageBook) -> tuple[Cell, ...]:
    statuses = [job.status for job in stage.jobs.values() if job.submissions]
    ended = sum(status in ENDS for status in statuses)
    holds = ended == stage.accepted
    return row(
        stage.name,
        str(stage.accepted),
        str(ended),
        str(stage.accepted - ended),
        Cell("yes", GOOD) if holds else Cell("no", BAD),
    )


def _counted(*, mocked: bool) -> str:
    """How many books there are, and how many of them can't share a mistake."""
    books = witnesses(mocked=mocked)
    keepers = codes(books)
    return (
        f"{len(books)} books tell of a run, each counted on its own. They are kept by "
        f"{len(keepers)} code bases that share no code of ours: {', '.join(keepers)}. Two books of "
        "one code base may share its mistakes, and count as one."
    )


def _stored(job: JobFacts, kind: str) -> bool:
    stored = job.files.get(kind)
    return stored is not None and stored.problem is None


def _made(job: JobFacts, step: str) -> bool:
    return any(generation.good for generation in job.of(step))


_COUNTED: tuple[tuple[Witness, str, Callable[[JobFacts], bool]], ...] = (
    (RUNNER, "accepted by the API", lambda job: bool(job.submissions)),
    (FILES, "with a video that decodes", lambda job: _stored(job, "video")),
    (RECORDS, "listed by the API and ended", lambda job: job.status in ENDS),
    (RECORDS, "with a record that has ended", lambda job: _recorded(job)),
    (RECEIPTS, "with a callback received", lambda job: bool(job.receipts)),
    (TEMPORAL, "with a history that is closed", lambda job: _closed(job)),
    (LEDGERS, "with an image that succeeded", lambda job: _made(job, "image")),
    (LEDGERS, "with a video that succeeded", lambda job: _made(job, "video")),
)


def _recorded(job: JobFacts) -> bool:
    return job.record is not None and job.record.status in ENDS


def _closed(job: JobFacts) -> bool:
    return job.execution is not None and job.execution.closed is not None


def _book(
    book: Witness, text: str, counts: Callable[[JobFacts], bool], *, stages: list[StageBook]
) -> tuple[Cell, ...]:
    numbers = (str(sum(map(counts, stage.jobs.values()))) for stage in stages)
    return row(book.name, book.code, text, *numbers)


def _difference(judgement: Judgement, kind: str) -> tuple[Cell, ...]:
    counts = [stage.counts[kind] for stage in judgement.stages]
    return row(kind, *(Cell(str(count), BAD if count else "") for count in counts))
