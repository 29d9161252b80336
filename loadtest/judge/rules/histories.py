"""Temporal tells it three times, and alike: the list of runs, the summaries, the histories."""

from collections.abc import Iterator

from loadtest.books.facts import Activity, Execution
from loadtest.books.histories import Told, ToldActivity
from loadtest.books.model import Books, JobFacts, StageBook
from loadtest.books.raw import KEEP_ALL_HISTORIES, KEEP_EVERY
from loadtest.judge.findings import Finding
from loadtest.judge.intervals import has_no_grant, permit_at_earliest, permit_tokens
from loadtest.judge.rules.common import Texts, each, of_stage, once

HISTORY = "history"
EXACT = 1e-5
GRANTED, FEW = "slot_granted", 2
CLOSE = 0.05
"""The list of runs is another store of the server's, a moment behind the histories."""


def history(books: Books) -> Iterator[Finding]:
    """Histories that are missing, damaged, or say something else than what was noted of them."""
    for name in books.stray_histories:
        yield Finding(HISTORY, name.split(".")[0], 0, f"histories/{name} is of no job of the run")
    if not {"Temporal", "Temporal's list"} & books.unread:
        yield from each(books, HISTORY, _listed, _permit, _brought)
        for stage in books.stages:
            yield from of_stage(stage, HISTORY, _kept(stage))
        yield from _echoes(books)
        yield from _falling(books)


def _listed(job: JobFacts, books: Books) -> Texts:
    """Each run is in the list, with the end that its history has."""
    rows = {row.run_id: row for row in job.listed}
    for run in job.executions:
        row = rows.get(run.run_id)
        if row is None:
            yield f"run {run.run_id} is not in the list of runs"
        elif row.closed is not None and row.status != run.status:
            yield f"it is {row.status} in the list of runs, {run.status} by its history"
        elif _apart(row.closed, run.closed, CLOSE) or _apart(row.started, run.started, CLOSE):
            yield "its run has other instants in the list of runs than in its history"


def _permit(job: JobFacts, books: Books) -> Texts:
    """Who succeeded had the slot, and ordered each stage of it.

    An order names its permit; of the signal that brought it, see `_echoes`.
    """
    if job.status != "succeeded" or not job.executions:
        return
    if has_no_grant(job) and (_is_told(job) or not _noted(job)):
        yield "no permit is in its history"
    granted = {at for run in job.executions for _, at in run.signals}
    for run in job.executions:
        if run.granted is not None and run.granted not in granted:
            yield "its permit came by no signal of its history"
    ordered = {order.step for run in job.executions for order in run.orders}
    if ordered != {"image", "video"}:
        yield f"its history ordered {', '.join(sorted(ordered)) or 'nothing'}"


def _is_told(job: JobFacts) -> bool:
    """Whether a permit's signal is in its history."""
    return any(name == GRANTED for run in job.executions for name, _ in run.signals)


def _noted(job: JobFacts) -> bool:
    """Whether its record holds a permit under which its history has ordered."""
    tokens = {token for run in job.executions for token in permit_tokens(run)}
    return job.record is not None and job.record.token in tokens


def _echoes(books: Books) -> Iterator[Finding]:
    """A permit's signal may come after the end of a job now and then, where a machine stalls: the
    server takes none for a closed run. Not of most jobs."""
    good = [job for job in books.jobs if job.status == "succeeded" and job.executions]
    without = list(filter(has_no_grant, good))
    if len(without) > max(FEW, len(good) // 2):
        text = "no signal in its history tells of its permit, as of most jobs"
        yield from (Finding(HISTORY, job.job_id, job.stage, text) for job in without)


def _brought(job: JobFacts, books: Books) -> Texts:
    """The record holds the permit that the history has."""
    run_id = job.record.run_id if job.record else None
    if run_id is not None and run_id not in {run.run_id for run in job.executions}:
        yield f"its record is of run {run_id}, which has no history"
    tokens = {token for run in job.executions for token in permit_tokens(run)}
    noted = job.record.token if job.record else None
    if tokens and noted is not None and noted not in tokens:
        yield f"its record holds permit {noted}, its history {tokens}"
    if job.status == "succeeded" and job.executions and not tokens:
        yield "no order in its history names a permit"


def _kept(stage: StageBook) -> Iterator[tuple[str, str]]:
    """Every history that is to be kept is there, and tells what was noted of it."""
    many = len(stage.jobs) > KEEP_ALL_HISTORIES
    for place, job_id in enumerate(sorted(stage.jobs)):
        job = stage.jobs[job_id]
        needed = not many or job.status != "succeeded" or place % KEEP_EVERY == 0
        for run in job.executions:
            newest = run is job.executions[-1]
            told = job.told.get("" if newest else run.run_id)
            if told is None and needed:
                yield job_id, f"the history of run {run.run_id} is not there"
            elif told is not None:
                yield from ((job_id, f"histories/{told.name} {text}") for text in _other(run, told))


def _other(run: Execution, told: Told) -> Texts:
    """In what a file and its summary differ."""
    if told.problem is not None:
        yield told.problem
        return
    if told.status != run.status or _apart(told.closed, run.closed, EXACT):
        yield f"says {told.status}, noted was {run.status}"
    if told.events != run.events or _apart(told.started, run.started, EXACT):
        yield f"has {told.events} events, noted were {run.events}"
    ours, theirs = told.signals, run.signals
    if [name for name, _ in ours] != [name for name, _ in theirs] or any(
        _apart(a, b, EXACT) for (_, a), (_, b) in zip(ours, theirs, strict=True)
    ):
        yield "has other signals than were noted"
    if len(told.activities) != len(run.activities) or not all(
        map(_same, told.activities, run.activities)
    ):
        yield "has other activities than were noted"


def _same(told: ToldActivity, noted: Activity) -> bool:
    moments = (noted.scheduled, noted.started, noted.ended)
    return told[:3] == (noted.kind, noted.attempt, noted.outcome) and not any(
        _apart(ours, theirs, EXACT) or (ours is None) != (theirs is None)
        for ours, theirs in zip(told.moments, moments, strict=True)
    )


def _falling(books: Books) -> Iterator[Finding]:
    """A permit that is granted behind the close of another job has a higher number."""
    runs = [
        (job, permit_at_earliest(run) or 0.0, run.closed, max(permit_tokens(run)))
        for job in books.jobs
        for run in job.executions[:1]
        if once(job) and permit_tokens(run)
    ]
    closes = sorted((closed, token) for _, _, closed, token in runs if closed is not None)
    highest, place = -1, 0
    for job, begun, _, token in sorted(runs, key=lambda one: one[1]):
        while place < len(closes) and closes[place][0] < begun:
            highest = max(highest, closes[place][1])
            place += 1
        if token <= highest:
            text = f"its permit {token} is not above {highest}, which had been given back"
            yield Finding(HISTORY, job.job_id, job.stage, text)


def _apart(ours: float | None, theirs: float | None, seconds: float) -> bool:
    return ours is not None and theirs is not None and abs(ours - theirs) > seconds
