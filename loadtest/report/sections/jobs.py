"""Where each job's time went, a row per job on one axis per stage."""

import dataclasses

from loadtest.books.model import Books, JobFacts, StageBook
from loadtest.judge.judge import Judgement
from loadtest.judge.measures.spans import (
    BACK_OFF,
    HAND_OVER,
    QUEUED,
    RUNNING,
    STORE,
    WAIT,
    Span,
    spans,
)
from loadtest.report.blocks import Block, Chart, Section, Text, own
from loadtest.report.charts import queue, stacked_groups
from loadtest.report.links import workflow_link
from loadtest.report.svg import Canvas, legend
from loadtest.report.tips import Tip
from loadtest.times import duration

MOST_ROWS = 120
_ROW = 12
_KINDS = (
    (QUEUED, "queued"),
    ("image", "image"),
    (HAND_OVER, "hand-over"),
    ("video", "video"),
    ("failed", "failed generation"),
    (BACK_OFF, "back-off"),
    (WAIT, "callback or poll"),
    (STORE, "storing"),
)
_PIECES = ("image", "video", RUNNING)


def section(judgement: Judgement) -> Section:
    """A Gantt chart of the jobs of each stage."""
    blocks: list[Block] = []
    for stage in judgement.books.stages:
        drawn = {job.job_id: pieces for job in stage.jobs.values() if (pieces := spans(job))}
        if drawn and len(drawn) <= MOST_ROWS:
            blocks += [_chart(stage, judgement.books, drawn), _own(stage, drawn)]
        elif drawn:
            blocks += _aggregated(stage, drawn)
    lead = (
        "A row per job, in the order of their starts; a dark stroke marks a callback received, a "
        "red one an injected fault. With a limit of 1 the coloured pieces form a stair without "
        "steps beside each other. The second drawing of a stage lays the same rows side by side, "
        "each from its permit on. Zoomed, a name brings its bars into view, and the bars lead to "
        "the Temporal UI. Stages of more than 120 jobs are shown aggregated."
    )
    return Section("Jobs over time", lead, blocks or [Text("There is no job to draw.")])


def _chart(stage: StageBook, books: Books, drawn: dict[str, list[Span]]) -> Chart:
    order = sorted(drawn, key=lambda job_id: _start(drawn[job_id]))
    begin = min(pieces[0].begin for pieces in drawn.values())
    end = max(pieces[-1].end for pieces in drawn.values())
    canvas = Canvas(len(order) * _ROW, begin=begin, end=end)
    for place, job_id in enumerate(order):
        _draw(canvas, stage.jobs[job_id], drawn[job_id], y=4 + place * _ROW, books=books)
    canvas.axis()
    label = f"Stage {stage.name}, all of it in {duration(end - begin)}"
    text = f"{label}, counted from the first planned submission."
    return canvas.chart(text, legend=legend(_KINDS))


def _own(stage: StageBook, drawn: dict[str, list[Span]]) -> Chart:
    """Each job from its permit on: what it did, however many waited before it."""
    order = sorted(drawn, key=lambda job_id: _start(drawn[job_id]))
    worked = {job_id: _worked(drawn[job_id]) for job_id in order}
    canvas = Canvas(len(order) * _ROW, begin=0.0, end=max(map(_last, worked.values())))
    for place, job_id in enumerate(order):
        y = 4 + place * _ROW
        canvas.label(_name(stage.jobs[job_id]), y=y + 9)
        _bars(canvas, worked[job_id], y=y)
    canvas.axis()
    label = f"Stage {stage.name}: each job from its permit on"
    text = f"{label}, without its wait. Rows that look alike are jobs that fared alike."
    return canvas.chart(text, legend=legend(_KINDS[1:]))


def _worked(pieces: list[Span]) -> list[Span]:
    work = [piece for piece in pieces if piece.name != QUEUED]
    since = work[0].begin if work else 0.0
    return [
        dataclasses.replace(piece, begin=piece.begin - since, end=piece.end - since)
        for piece in work
    ]


def _last(pieces: list[Span]) -> float:
    return pieces[-1].end if pieces else 0.0


def _aggregated(stage: StageBook, drawn: dict[str, list[Span]]) -> list[Block]:
    """For a stage with more jobs than rows: means by group, and how many wait."""
    order = sorted(drawn.values(), key=_start)
    name = f"Stage {stage.name}, aggregated"
    on_slot = [(kind, text) for kind, text in _KINDS if kind != QUEUED]
    return [
        stacked_groups(
            order,
            on_slot,
            caption=f"{name}: what a job did from its permit on. Level columns mean that a job "
            "costs the same however many came before it.",
        ),
        queue(
            stage,
            order,
            caption=f"{name}: jobs planned and ended. The distance between the lines is what "
            "waits or runs; a straight line of ends is a steady pace.",
        ),
    ]


def _start(pieces: list[Span]) -> float:
    return next((piece.begin for piece in pieces if piece.name in _PIECES), pieces[-1].end)


def _draw(canvas: Canvas, job: JobFacts, pieces: list[Span], *, y: float, books: Books) -> None:
    name = f"bars-{job.job_id}"
    canvas.label(_name(job), y=y + 9, row=name)
    waited = [piece for piece in pieces if piece.name == QUEUED]
    _bars(canvas, waited, y=y)
    canvas.begin_row(name, href=workflow_link(books.run, job.job_id))
    _bars(canvas, pieces[len(waited) :], y=y)
    _marks(canvas, job, pieces, y=y)
    canvas.end_row()


def _name(job: JobFacts) -> str:
    return f"job {job.submission.index + 1 if job.submission else '?'}"


def _bars(canvas: Canvas, pieces: list[Span], *, y: float) -> None:
    for piece in pieces:
        kind = "failed" if piece.good is False else piece.name
        canvas.bar(piece.begin, piece.end, y=y, height=_ROW - 3, kind=kind, title=_tip(piece))


def _tip(piece: Span) -> Tip:
    took, job = duration(piece.end - piece.begin), own(piece.job_id)
    if piece.attempt:
        return ("Took {1}: {2}, attempt {3}, of {4}", took, piece.name, str(piece.attempt), job)
    return ("Took {1}: {2} of {3}", took, piece.name, job)


def _marks(canvas: Canvas, job: JobFacts, pieces: list[Span], *, y: float) -> None:
    """Callbacks received and faults injected, where they fall into the job's time."""
    begin, end = pieces[0].begin, pieces[-1].end
    marks: list[tuple[str, float | None, Tip]] = [
        ("mark", r.at, ("Callback received: {1}, {2}", own(r.task_status), r.fate))
        for r in job.receipts
    ]
    marks += [
        ("fault", f.at, ("Fault met: {1} by {2}", own(f"{f.where}.{f.do}"), own(f.rule)))
        for f in job.faults
    ]
    for kind, at, title in marks:
        if at is not None and begin <= at <= end:
            canvas.tick(at, y=y - 2, height=5, kind=kind, title=title)
