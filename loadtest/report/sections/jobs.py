"""The concurrency proof with the vendors' lanes, the slowest jobs and every failure."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, groupby
from typing import Any
from urllib.parse import quote

from loadtest.books.facts import Generation
from loadtest.books.model import KEPT_BY, Books, JobFacts, StageBook, codes
from loadtest.judge.intervals import RECORDS, TEMPORAL, VENDORS
from loadtest.judge.judge import Judgement, StageResult
from loadtest.judge.pace import hand_overs
from loadtest.report.page import (
    BAD,
    GOOD,
    WARN,
    Bar,
    Block,
    Cell,
    Cells,
    Chart,
    Lane,
    Notice,
    Section,
    Table,
    Text,
    own,
    row,
)
from loadtest.times import duration, timestamp

MOST_GENERATIONS, MOST_LANES = 600, 8
SLOWEST, MOST_FAILURES = 5, 200
_ADDRESS = re.compile(r"https?://[^\s<>\"']+")
# The colours of the steps, in turn.
_COLOURS = ("image", "video")
_MARKS = (("mark", "callback received"), ("fault", "fault injected"))
_EVENTS = (("slot", "hand-over"), *_MARKS, ("kill", "process restarted"))
_BOOKS = {
    VENDORS: ("ledgers", "first accepted to last finished, by the vendors' clocks"),
    RECORDS: ("API and records", "running to end"),
    TEMPORAL: ("Temporal", "permit to run closed, or to its return unused"),
}


def workflow_link(run: dict[str, Any], job_id: str) -> str:
    """Return the page of a job's workflow; empty if what the run noted is no address."""
    ui, namespace = str(run.get("temporal_ui")), quote(str(run.get("namespace")), safe="")
    place = f"/namespaces/{namespace}/workflows/{quote(job_id)}"
    return f"{ui}{place}" if _ADDRESS.fullmatch(ui) else ""


def _start(job: JobFacts) -> float:
    """Return when the job got the slot; its end if it never did."""
    granted = job.execution.granted if job.execution else None
    started = job.api[0].started
    return granted if granted is not None else started if started is not None else _end(job)


def _end(job: JobFacts) -> float:
    return job.finished or 0.0


def _generation(g: Generation, colour: str) -> Bar:
    title = f"{g.external_id}: {g.outcome}, {duration(g.seconds)}"
    return Bar(g.accepted or 0.0, g.finished or 0.0, colour if g.good else "failed", title)


def proof(judgement: Judgement) -> Section:
    """Return the most at once by each book, against the limit, and the vendors' work in time."""
    books = [name for name in _BOOKS if name != VENDORS or judgement.books.mocked]
    rows = [_at_once(stage, name) for stage in judgement.stages for name in books]
    rows += [_sampled(stage) for stage in judgement.stages if stage.sampled_at_once is not None]
    numbers = ("#intervals", "#most at once", "#limit", "#reached")
    heads = ("stage", "book", "kept by", "a job counts from … to …", *numbers, "verdict")
    blocks: list[Block] = [Table(heads, rows)]
    if judgement.books.mocked:
        stages = zip(judgement.books.stages, judgement.stages, strict=True)
        blocks += filter(None, (_lanes(judgement.books, *both) for both in stages))
    known = tuple(_BOOKS[name][0] for name in books)
    lead = (
        "An interval per job and book; a sweep line counts how many cover an instant. The most at "
        "once must never exceed the limit, and must reach min(jobs, limit), or nothing was proven. "
        "An end at the very instant of a start is no overlap. "
        f"{len(known)} books give intervals, kept by {len(codes(known))} code bases; samples of "
        "the slot are by the same one as the records."
    )
    return Section("Resources over time, and the concurrency proof", lead, blocks)


def _at_once(stage: StageResult, name: str) -> Cells:
    found, (book, text) = stage.at_once[name], _BOOKS[name]
    limit = stage.limit or 0
    if not found.intervals:
        verdict = Cell("says nothing", WARN)
    elif found.most > limit:
        verdict = Cell(f"broken {found.violations} times", BAD)
    elif found.most < min(limit, stage.counts["submitted"]):
        verdict = Cell("never reached", BAD)
    else:
        verdict = Cell("holds", GOOD)
    numbers = (str(found.intervals), str(found.most), str(limit), timestamp(found.at))
    return row(stage.name, book, KEPT_BY[book], text, *numbers, verdict)


def _sampled(stage: StageResult) -> Cells:
    most, limit = stage.sampled_at_once or 0, stage.limit or 0
    verdict = Cell("holds", GOOD) if most <= limit else Cell("broken", BAD)
    text = "holders in a sample"
    return row(stage.name, "slot", KEPT_BY["slot"], text, "–", str(most), str(limit), "–", verdict)


def lanes(judgement: Judgement) -> Chart | None:
    """Draw the vendors' work in the largest stage that fits, and what happened meanwhile."""
    pairs = [
        (stage, result)
        for stage, result in zip(judgement.books.stages, judgement.stages, strict=True)
        if sum(len(job.generations) for job in stage.jobs.values()) <= MOST_GENERATIONS
    ]
    if not (judgement.books.mocks and pairs):
        return None
    stage, result = max(pairs, key=lambda pair: len(pair[0].jobs))
    drawn = _lanes(judgement.books, stage, result)
    if not isinstance(drawn, Chart):
        return None
    more = [lane for lane in _events(judgement.books, stage) if lane.bars]
    return replace(drawn, lanes=drawn.lanes + more, legend=drawn.legend + _EVENTS)


def _events(books: Books, stage: StageBook) -> Iterator[Lane]:
    """Return what happened beside the vendors' work: hand-overs, callbacks, faults, and processes
    that restarted."""
    jobs = stage.jobs.values()
    yield Lane(
        "hand-over",
        [
            Bar(each.end, each.begin, "slot", f"{each.job.job_id}, {duration(seconds)}")
            for each in hand_overs(stage, books)
            if (seconds := each.begin - each.end) > 0
        ],
    )
    receipts = ((r.at, "mark", f"{r.task_status}: {r.fate}") for j in jobs for r in j.receipts)
    faults = ((f.at, "fault", f"{f.where}.{f.do} ({f.rule})") for j in jobs for f in j.faults)
    kills = ((at, "kill", name) for name in books.processes for at in books.restarts(name))
    for name, events in (("callbacks", receipts), ("faults", faults), ("kills", kills)):
        inside = [each for each in events if each[0] and stage.began <= each[0] <= stage.ended]
        yield Lane(name, [Bar(at, at, kind, text) for at, kind, text in inside if at])


def _lanes(books: Books, stage: StageBook, result: StageResult) -> Block | None:
    """Return the vendors' generations by their own clocks; what overlaps gets a lane of its own."""
    made = [g for job in stage.jobs.values() for g in job.generations if g.accepted and g.finished]
    if not made:
        return None
    if len(made) > MOST_GENERATIONS:
        return Text(f"Stage {stage.name} has {len(made)} generations, too many to draw.")
    text = (
        f"Stage {stage.name}: what each vendor worked on, by its own clock. What overlaps has a "
        "lane of its own."
    )
    steps = dict(zip((each.name for each in books.pipeline), cycle(_COLOURS), strict=False))
    lanes = [
        Lane(step, [_generation(each, colour) for each in packed])
        for step, colour in steps.items()
        for packed in _packed(made, step)
    ]
    marks = [
        Bar(pair.begin, pair.end, "fault", f"{pair.second} beside {pair.first}")
        for pair in result.at_once[VENDORS].pairs
    ]
    lanes += [Lane("more than the limit", marks)] if marks else []
    legend = (*((colour, step) for step, colour in steps.items()), ("failed", "failed generation"))
    return Chart(text, lanes, legend, height=26)


def _packed(made: list[Generation], step: str) -> list[list[Generation]]:
    """Return as few lanes as show every generation of a step; the last one takes what is beyond."""
    lanes: list[list[Generation]] = []
    of_step = (each for each in made if each.wanted == step)
    for g in sorted(of_step, key=lambda each: each.accepted or 0.0):
        free = (each for each in lanes if (each[-1].finished or 0.0) <= (g.accepted or 0.0))
        lane = next(free, None)
        if lane is None and len(lanes) < MOST_LANES:
            lanes.append([g])
        else:
            (lane or lanes[-1]).append(g)
    return lanes


def worst(judgement: Judgement) -> Section:
    """Return the jobs that worked longest and every failure, with what each history says."""
    run = judgement.run
    jobs = [(stage, job) for stage in judgement.books.stages for job in stage.jobs.values()]
    drawn = [it for it in jobs if it[1].finished is not None and it[1].api[0].created is not None]
    ended = sorted(drawn, key=lambda it: _start(it[1]) - _end(it[1]))
    numbers = ("#at work", "#queued", "#attempts", "where the time went")
    slow = [_slow(s, j, workflow_link(run, j.job_id)) for s, j in ended[:SLOWEST]]
    blocks: list[Block] = [
        Table(("job", "stage", "prompt", *numbers, "history"), slow, "The slowest")
    ]
    blocks += failures(judgement, MOST_FAILURES) or [Notice(GOOD, "Every job succeeded.")]
    refused = [
        row(s.name, str(it.index + 1), own(it.prompt), own(it.problem), str(it.tries))
        for s in judgement.books.stages
        for it in s.refused[:MOST_FAILURES]
    ]
    if refused:
        columns = ("stage", "#job", "prompt", "answer", "#tries")
        blocks.append(Table(columns, refused, "Refused by the API"))
    lead = (
        "The slowest by their own work, from the permit to the end: how long a job waited for its "
        "turn is its place in the queue, and no fault of its own. Links lead to the Temporal UI."
    )
    return Section("The slowest five and every failure", lead, blocks)


def _slow(stage: StageBook, job: JobFacts, href: str) -> Cells:
    worked = _end(job) - _start(job)
    parts = [(f"{g.step} {g.attempt or ''}".rstrip(), g.seconds) for g in job.generations]
    parts.append(("else", max(0.0, worked - sum(seconds for _, seconds in parts))))
    return row(
        own(job.job_id, href=href),
        stage.name,
        own(job.submission.prompt if job.submission else None),
        duration(worked),
        duration(_start(job) - job.submission.planned) if job.submission else None,
        ", ".join(f"{step} {count}" for step, count in job.api[0].attempts.items()) or "–",
        ", ".join(f"{name} {duration(seconds)}" for name, seconds in parts),
        _history(job),
    )


def failures(judgement: Judgement, most: int, columns: int = 7) -> list[Block]:
    """Return the first jobs that did not succeed, and what led to it, in so many columns."""
    jobs = [(stage, job) for stage in judgement.books.stages for job in stage.jobs.values()]
    bad = [(stage, job) for stage, job in jobs if job.status != "succeeded"]
    rows = [_bad(s, j, workflow_link(judgement.run, j.job_id))[:columns] for s, j in bad[:most]]
    heads = ("job", "stage", "prompt", "status", "error", "what led to it", "history")[:columns]
    return [Table(heads, rows, f"Not succeeded ({len(bad)})")] if bad else []


def _bad(stage: StageBook, job: JobFacts, href: str) -> Cells:
    api = job.api[0] if job.api else None
    causes = groupby(text for _, text in sorted(_causes(job)))
    return row(
        own(job.job_id, href=href),
        stage.name,
        own(job.submission.prompt if job.submission else None),
        job.status or "unknown to the API",
        own(f"{api.error_code}: {api.error_message}") if api and api.error_code else None,
        own(" → ".join(text for text, _ in causes) or "–"),
        _history(job),
    )


def _history(job: JobFacts) -> Cell:
    """Return a link to a job's history in the run's own folder."""
    if not job.executions:
        return Cell("not kept")
    return Cell("JSON", href=f"histories/{quote(job.job_id, safe='')}.json")


def _causes(job: JobFacts) -> Iterator[tuple[float, str]]:
    for g in job.generations:
        if not g.good:
            text = f"{g.external_id} {g.outcome or 'open'}: {g.error or 'no reason'}"
            yield g.finished or g.accepted or 0.0, text
    for each in job.execution.activities if job.execution else ():
        if each.error_class:
            attempt = f"{each.kind} (attempt {each.attempt})"
            text = f"{attempt} {each.error_class}: {each.error_message}"
            yield each.ended or each.scheduled or 0.0, text
