"""The five jobs that worked longest and every failure, with what each history says."""

from loadtest.books.model import JobFacts, StageBook
from loadtest.judge.judge import Judgement
from loadtest.judge.measures.spans import QUEUED, Span, spans
from loadtest.report.blocks import GOOD, Block, Cell, Notice, Section, Table, own, row
from loadtest.report.links import history_link, workflow_link
from loadtest.times import duration

SLOWEST, MOST_FAILURES = 5, 200
_SLOW = (
    "job",
    "stage",
    "prompt",
    "#at work",
    "#queued",
    "#attempts",
    "where the time went",
    "history",
)


def section(judgement: Judgement) -> Section:
    """Where to look first."""
    run = judgement.run
    jobs = [(stage, job) for stage in judgement.books.stages for job in stage.jobs.values()]
    timed = sorted(
        ((_worked(pieces), pieces, s, j) for s, j in jobs if (pieces := spans(j))),
        key=lambda t: -t[0],
    )
    slow = [
        _slow(stage, job, pieces, href=workflow_link(run, job.job_id))
        for _, pieces, stage, job in timed[:SLOWEST]
    ]
    bad = [(stage, job) for stage, job in jobs if job.status != "succeeded"]
    blocks: list[Block] = [Table(_SLOW, slow, "The slowest")]
    if bad:
        rows = [
            _bad(stage, job, workflow_link(run, job.job_id)) for stage, job in bad[:MOST_FAILURES]
        ]
        heads = ("job", "stage", "prompt", "status", "error", "what led to it", "history")
        blocks.append(Table(heads, rows, f"Not succeeded ({len(bad)})"))
    else:
        blocks.append(Notice(GOOD, "Every job succeeded."))
    blocks += _refused(judgement)
    lead = (
        "The slowest by their own work, from the permit to the end: how long a job waited for its "
        "turn is its place in the queue, and no fault of its own. Links lead to the Temporal UI."
    )
    return Section("The slowest five and every failure", lead, blocks)


def _worked(pieces: list[Span]) -> float:
    return sum(piece.end - piece.begin for piece in pieces if piece.name != QUEUED)


def _slow(stage: StageBook, job: JobFacts, pieces: list[Span], *, href: str) -> tuple[Cell, ...]:
    spent: dict[str, float] = {}
    for piece in pieces:
        spent[piece.name] = spent.get(piece.name, 0.0) + piece.end - piece.begin
    parts = ", ".join(
        f"{name} {duration(seconds)}"
        for name, seconds in sorted(spent.items(), key=lambda p: -p[1])
        if name != QUEUED
    )
    return row(
        own(job.job_id, href=href),
        stage.name,
        own(job.submission.prompt if job.submission else None),
        duration(_worked(pieces)),
        duration(spent.get(QUEUED, 0.0)),
        _attempts(job),
        own(parts),
        _history(job),
    )


def _bad(stage: StageBook, job: JobFacts, href: str) -> tuple[Cell, ...]:
    api = job.api[0] if job.api else None
    error = own(f"{api.error_code}: {api.error_message}") if api and api.error_code else None
    return row(
        own(job.job_id, href=href),
        stage.name,
        own(job.submission.prompt if job.submission else None),
        job.status or "unknown to the API",
        error,
        own(_chain(job)),
        _history(job),
    )


def _history(job: JobFacts) -> Cell:
    href = history_link(job)
    return Cell("JSON" if href else "not kept", href=href)


def _chain(job: JobFacts) -> str:
    """Failed generations and activity errors, in the order in which they came."""
    links = [
        (
            g.finished or g.accepted or 0.0,
            f"{g.external_id} {g.outcome or 'open'}: {g.error or 'no reason'}",
        )
        for g in job.generations
        if not g.good
    ]
    for activity in job.execution.activities if job.execution else ():
        if activity.error_class:
            attempt = f"{activity.kind} (attempt {activity.attempt})"
            text = f"{attempt} {activity.error_class}: {activity.error_message}"
            links.append((activity.ended or activity.scheduled or 0.0, text))
    return " → ".join(text for _, text in sorted(links)) or "–"


def _attempts(job: JobFacts) -> str:
    attempts = job.api[0].attempts if job.api else {}
    return ", ".join(f"{step} {count}" for step, count in attempts.items()) or "–"


def _refused(judgement: Judgement) -> list[Block]:
    rows = [
        row(
            stage.name,
            str(submit.index + 1),
            own(submit.prompt),
            own(submit.problem),
            str(submit.tries),
        )
        for stage in judgement.books.stages
        for submit in stage.refused[:MOST_FAILURES]
    ]
    return (
        [Table(("stage", "#job", "prompt", "answer", "#tries"), rows, "Refused by the API")]
        if rows
        else []
    )
