"""The concurrency proof, from the vendors' own clocks and from two other books."""

from loadtest.books.facts import Generation
from loadtest.books.model import STEPS, StageBook
from loadtest.books.witnesses import LEDGERS, SLOT, Witness, codes
from loadtest.books.witnesses import RECORDS as JOURNAL
from loadtest.books.witnesses import TEMPORAL as HISTORIES
from loadtest.judge.judge import Judgement
from loadtest.judge.measures.intervals import RECORDS, TEMPORAL, VENDORS, vendor_interval
from loadtest.judge.stage import StageResult
from loadtest.report.blocks import (
    BAD,
    GOOD,
    WARN,
    Block,
    Cell,
    Chart,
    Notice,
    Section,
    Table,
    own,
    row,
)
from loadtest.report.charts import over_time
from loadtest.report.svg import Canvas, legend
from loadtest.times import duration, timestamp

MOST_BARS = 600
_MOST_ROWS, _ROW = 8, 26
_BOOKS = {
    VENDORS: (LEDGERS, "image accepted to video finished, by both vendors' clocks"),
    RECORDS: (JOURNAL, "running to end"),
    TEMPORAL: (HISTORIES, "permit in force to run closed"),
}


def section(judgement: Judgement) -> Section:
    """The most at once by each book, against the limit."""
    books = [name for name in _BOOKS if name != VENDORS or judgement.books.mocked]
    rows = [_row(stage, name) for stage in judgement.stages for name in books]
    rows += [_sampled(stage) for stage in judgement.stages if stage.sampled_at_once is not None]
    blocks: list[Block] = [
        Table(
            (
                "stage",
                "book",
                "kept by",
                "a job counts from … to …",
                "#intervals",
                "#most at once",
                "#limit",
                "#reached",
                "verdict",
            ),
            rows,
        )
    ]
    blocks += [
        _violation(stage, name)
        for stage in judgement.stages
        for name in books
        if stage.at_once[name].violation
    ]
    blocks += _limits(judgement.books.stages)
    if judgement.books.mocked:
        blocks += [chart for stage in judgement.books.stages if (chart := _lanes(stage))]
    lead = (
        "An interval per job and book; a sweep line counts how many cover an instant. The most at "
        "once must never exceed the limit, and must reach min(jobs, limit), or nothing was proven. "
        "An end at the very instant of a start is no overlap. "
        f"{_told(tuple(_BOOKS[name][0] for name in books))}"
    )
    return Section("Resources over time, and the concurrency proof", lead, blocks)


def _told(books: tuple[Witness, ...]) -> str:
    return (
        f"{len(books)} books give intervals, kept by {len(codes(books))} code bases that share no "
        "code of ours; samples of the slot are by the same one as the records."
    )


def _row(stage: StageResult, name: str) -> tuple[Cell, ...]:
    found, (book, text) = stage.at_once[name], _BOOKS[name]
    limit, submitted = stage.limit or 0, stage.counts["submitted"]
    if not found.intervals:
        verdict = Cell("says nothing", WARN)
    elif found.most > limit:
        verdict = Cell(f"broken {found.violations} times", BAD)
    elif found.most < min(limit, submitted):
        verdict = Cell("never reached", BAD)
    else:
        verdict = Cell("holds", GOOD)
    return row(
        stage.name,
        book.name,
        book.code,
        text,
        str(found.intervals),
        str(found.most),
        str(limit),
        timestamp(found.at),
        verdict,
    )


def _sampled(stage: StageResult) -> tuple[Cell, ...]:
    most, limit = stage.sampled_at_once or 0, stage.limit or 0
    verdict = Cell("holds", GOOD) if most <= limit else Cell("broken", BAD)
    return row(
        stage.name,
        SLOT.name,
        SLOT.code,
        "holders in a sample",
        "–",
        str(most),
        str(limit),
        "–",
        verdict,
    )


def _violation(stage: StageResult, name: str) -> Notice:
    pair = stage.at_once[name].violation
    assert pair is not None  # noqa: S101 - the caller has asked
    return Notice(
        BAD,
        f"Stage {stage.name}, {_BOOKS[name][0].name}: {pair.second} began at "
        f"{timestamp(pair.begin)} while {pair.first} still ran, for "
        f"{duration(pair.end - pair.begin)}.",
    )


def _limits(stages: list[StageBook]) -> list[Block]:
    return [
        Notice(
            WARN,
            f"The limit changed in the stage {stage.name}: {sorted(stage.limits_seen)}; "
            "the highest was taken.",
        )
        for stage in stages
        if len(stage.limits_seen) > 1
    ]


def _at_once(stage: StageBook) -> Chart:
    """For a stage with more generations than can be drawn: the sweep line's count itself."""
    found = (vendor_interval(job, stage.ended) for job in stage.jobs.values())
    intervals = [interval for interval in found if interval]
    caption = (
        f"Stage {stage.name}: jobs at once by both vendors' clocks. The line must "
        "touch the limit and never cross it."
    )
    return over_time(intervals, stage, caption=caption)


def _lanes(stage: StageBook) -> Chart | None:
    """Both vendors' generations by their own clocks; what overlaps gets a row of its own."""
    made = [g for job in stage.jobs.values() for g in job.generations if g.accepted and g.finished]
    if not made:
        return None
    if len(made) > MOST_BARS:
        return _at_once(stage)
    rows = [(step, several) for step in STEPS for several in _packed(made, step)]
    begin = min(g.accepted or 0.0 for g in made)
    end = max(g.finished or 0.0 for g in made)
    canvas = Canvas(len(rows) * _ROW, begin=begin, end=end)
    for place, (step, several) in enumerate(rows):
        canvas.label(step, y=18 + place * _ROW)
        for g in several:
            _bar(canvas, g, y=6 + place * _ROW)
    canvas.axis()
    label = f"Stage {stage.name}: what each vendor worked on, by its own clock"
    kinds = (("image", "image"), ("video", "video"), ("failed", "failed generation"))
    text = f"{label}. With a limit of 1 there are two rows, which take turns and never overlap."
    return canvas.chart(text, legend=legend(kinds))


def _packed(made: list[Generation], step: str) -> list[list[Generation]]:
    """As few rows as show every generation of a stage, the last row taking what is beyond eight."""
    rows: list[list[Generation]] = []
    of_step = (each for each in made if each.step == step)
    for g in sorted(of_step, key=lambda each: each.accepted or 0.0):
        free = (each for each in rows if (each[-1].finished or 0.0) <= (g.accepted or 0.0))
        place = next(free, None)
        if place is None and len(rows) < _MOST_ROWS:
            rows.append([g])
        else:
            (place or rows[-1]).append(g)
    return rows


def _bar(canvas: Canvas, g: Generation, *, y: float) -> None:
    kind = g.step if g.good else "failed"
    title = ("Took {1}: {2}, {3}", duration(g.seconds), own(g.external_id), str(g.outcome))
    canvas.bar(g.accepted or 0.0, g.finished or 0.0, y=y, height=_ROW - 8, kind=kind, title=title)
