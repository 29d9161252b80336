"""Where each job's time went, a row per job on one axis per stage."""

from loadtest.books.model import Books, JobFacts, StageBook
from loadtest.judge.judge import Judgement
from loadtest.judge.spans import BACK_OFF, HAND_OVER, QUEUED, RUNNING, STORE, WAIT, Span, spans
from loadtest.report.blocks import Block, Chart, Section, Text
from loadtest.report.charts import queue, stacked_groups
from loadtest.report.links import workflow_link
from loadtest.report.svg import Canvas, legend
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
            blocks.append(_chart(stage, judgement.books, drawn))
        elif drawn:
            blocks += _aggregated(stage, drawn)
    lead = (
        "A row per job, in the order of their starts; a dark stroke marks a callback received, a "
        "red one an injected fault, and a name leads to the Temporal UI. With a limit of 1 the "
        "coloured pieces form a stair without steps beside each other. Stages of more than 120 "
        "jobs are shown aggregated."
    )
    return Section("Jobs over time", lead, blocks or [Text("There is no job to draw.")])


def _chart(stage: StageBook, books: Books, drawn: dict[str, list[Span]]) -> Chart:
    order = sorted(drawn, key=lambda job_id: _start(drawn[job_id]))
    begin = min(pieces[0].begin for pieces in drawn.values())
    end = max(pieces[-1].end for pieces in drawn.values())
    canvas = Canvas(1120, len(order) * _ROW + 34, begin=begin, end=end)
    for place, job_id in enumerate(order):
        _draw(canvas, stage.jobs[job_id], drawn[job_id], y=4 + place * _ROW, books=books)
    canvas.axis()
    label = f"Stage {stage.name}, all of it in {duration(end - begin)}"
    text = f"{label}, counted from the first planned submission."
    return Chart(legend(_KINDS) + canvas.svg(label), text)


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
    index = job.submission.index + 1 if job.submission else "?"
    canvas.label(f"job {index}", y=y + 9, href=workflow_link(books.run, job.job_id))
    for piece in pieces:
        attempt = f" attempt {piece.attempt}" if piece.attempt else ""
        title = f"{job.job_id} {piece.name}{attempt}: {duration(piece.end - piece.begin)}"
        kind = "failed" if piece.good is False else piece.name
        canvas.bar(piece.begin, piece.end, y=y, height=_ROW - 3, kind=kind, title=title)
    begin, end = pieces[0].begin, pieces[-1].end
    marks = [("mark", r.at, f"callback {r.task_status}: {r.fate}") for r in job.receipts]
    marks += [("fault", f.at, f"fault {f.where}.{f.do} by {f.rule}") for f in job.faults]
    for kind, at, title in marks:
        if at is not None and begin <= at <= end:
            canvas.tick(at, y=y - 1, height=_ROW - 1, kind=kind, title=title)
