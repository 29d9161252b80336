"""No effect before its cause: in one book to the microsecond, across books as clocks allow."""

from collections.abc import Iterator
from itertools import pairwise

from loadtest.books.facts import Generation
from loadtest.books.model import Books, JobFacts, StageBook
from loadtest.judge.clocks import SLACK, Offsets, offsets
from loadtest.judge.findings import Finding
from loadtest.judge.intervals import permit_at_earliest
from loadtest.judge.rules.common import Texts, each, met, of_stage, once, thrown
from loadtest.times import duration

CAUSALITY, CLOCK = "causality", "clock"
TICK = 0.005
"""The clock that planned instants are waited for by is not the one that they are noted by."""
EXACT = 1e-5
"""Books differ in how many digits of an instant they keep."""
ENDS, WAKES = ("succeed", "failed"), "kling_done"


def causality(books: Books) -> Iterator[Finding]:
    """Whatever came before what it came of."""
    found = offsets(books)
    yield from each(books, CAUSALITY, _runner, _api, _record, _runs, _books_agree, _frames)
    yield from each(books, CLOCK, _made_when_asked)
    for stage in books.stages:
        if stage.why == "done":
            yield from of_stage(stage, CAUSALITY, _outside(stage))
    if books.mocked:
        yield from each(books, CAUSALITY, _generations, _callbacks)
        yield from each(books, CAUSALITY, lambda job, _: _order_of_stages(job, found))
        yield from each(books, CAUSALITY, lambda job, _: _inside_the_run(job, found))
        yield from each(books, CAUSALITY, lambda job, _: _received(job, found))


def _late(cause: str, at: float | None, effect: str, then: float | None, *, slack: float) -> Texts:
    """Says so where a cause is later than its effect by more than the clocks can be off."""
    if at is not None and then is not None and at > then + slack:
        yield f"{effect} {duration(at - then)} before {cause}"


def _chain(*steps: tuple[str, float | None]) -> Texts:
    """Instants of one book, each behind the one ahead of it."""
    known = [(name, at) for name, at in steps if at is not None]
    for (cause, at), (effect, then) in pairwise(known):
        yield from _late(cause, at, effect, then, slack=EXACT)


def _runner(job: JobFacts, books: Books) -> Texts:
    for sent in job.submissions:
        yield from _late("planned", sent.planned, "sent", sent.sent, slack=TICK)
        yield from _chain(("sent", sent.sent), ("answered", sent.answered))


def _api(job: JobFacts, books: Books) -> Texts:
    shown = job.api[0]
    yield from _chain(("made", shown.created), ("begun", shown.started), ("ended", shown.finished))


def _record(job: JobFacts, books: Books) -> Texts:
    yield from _chain(*((f"version {change.version}", change.at) for change in job.changes))


def _runs(job: JobFacts, books: Books) -> Texts:
    """A history is in order, and its activities are inside it."""
    for run in job.executions:
        yield from _chain(
            ("its run started", run.started), ("granted", run.granted), ("closed", run.closed)
        )
        for each_one in run.activities:
            yield from _chain(
                (f"{each_one.kind} scheduled", each_one.scheduled),
                (f"{each_one.kind} started", each_one.started),
                (f"{each_one.kind} ended", each_one.ended),
                ("its run closed", run.closed),
            )


def _books_agree(job: JobFacts, books: Books) -> Texts:
    """List and record tell the same instants; both lie inside the run."""
    shown, record = job.api[0], job.record
    if record is None or record.problem:
        return
    for name, ours, theirs in (
        ("made", shown.created, record.created),
        ("begun", shown.started, record.started),
        ("ended", shown.finished, record.finished),
    ):
        if _unlike(ours, theirs):
            yield f"it was {name} at another instant by the list than by its record"
    if once(job) and job.changes:
        running = next((change.at for change in job.changes if change.status == "running"), None)
        if _unlike(record.started, running) or _unlike(record.finished, job.changes[-1].at):
            yield "its record begins or ends at another instant than its changes"
    for run in job.executions[:1]:
        yield from _late("its run started", run.started, "made", shown.created, slack=SLACK)
    for run in job.executions[-1:]:
        yield from _late("ended", shown.finished, "its run closed", run.closed, slack=SLACK)


def _unlike(ours: float | None, theirs: float | None) -> bool:
    return ours is not None and theirs is not None and abs(ours - theirs) > EXACT


def _made_when_asked(job: JobFacts, books: Books) -> Texts:
    """The API made the job while the runner waited for its answer."""
    made = job.api[0].created
    for sent in job.submissions[:1]:
        yield from _late("it was asked for", sent.sent, "made", made, slack=SLACK)
        yield from _late("made", made, "answered", sent.answered, slack=SLACK)


def _frames(job: JobFacts, books: Books) -> Texts:
    """Nothing is shown before it is so; a version may have been written once before, in vain."""
    if thrown(job):
        return
    noted = {change.version: change.at for change in job.changes}
    for frame in job.frames:
        name = f"version {frame.version}"
        yield from _late(f"{name} was so", noted.get(frame.version), name, frame.at, slack=SLACK)


def _outside(stage: StageBook) -> Iterator[tuple[str, str]]:
    """A stage begins before its first job is due, and goes on until its last one has ended."""
    for job in stage.jobs.values():
        for sent in job.submissions:
            for text in _late("its stage began", stage.began, "planned", sent.planned, slack=EXACT):
                yield job.job_id, text
        for text in _late("ended", job.finished, "its stage ended", stage.ended, slack=SLACK):
            yield job.job_id, text


def _generations(job: JobFacts, books: Books) -> Texts:
    for row in job.generations:
        name = str(row.external_id)
        yield from _chain(
            (f"{name} accepted", row.accepted),
            (f"{name} started", row.started),
            (f"{name} finished", row.finished),
        )


def _callbacks(job: JobFacts, books: Books) -> Texts:
    """A vendor tells of a change behind it, unless a fault makes it lie."""
    if met(job, "callback"):
        return
    for row in job.generations:
        for told in row.callbacks:
            cause = row.finished if told.status in ENDS else row.accepted
            name = f"{row.external_id} {told.status}"
            yield from _late(f"{name} was so", cause, f"{name} told", told.sent, slack=EXACT)


def _order_of_stages(job: JobFacts, found: Offsets) -> Texts:
    """A video is accepted behind the end of an image that succeeded, by two vendors' clocks."""
    ends = [row.finished for row in job.of("image") if row.good and row.finished is not None]
    for row in job.of("video"):
        if ends and row.accepted is not None:
            image = found["image"].earliest(min(ends))
            begin = found["video"].latest(row.accepted)
            yield from _late("its image ended", image, str(row.external_id), begin, slack=EXACT)


def _inside_the_run(job: JobFacts, found: Offsets) -> Texts:
    """Generations lie between the permit and the close; of a job that was reset, of any run."""
    granted = [at for run in job.executions if (at := permit_at_earliest(run)) is not None]
    closed = [run.closed for run in job.executions if run.closed is not None]
    for row in job.generations:
        name, offset = str(row.external_id), found[row.step]
        if granted and once(job) and row.accepted is not None:
            begin = offset.latest(row.accepted)
            yield from _late("the permit", min(granted), name, begin, slack=SLACK)
        if closed and row.good and row.finished is not None and job.status == "succeeded":
            end = offset.earliest(row.finished)
            yield from _late(f"{name} ended", end, "its run closed", max(closed), slack=SLACK)


def _received(job: JobFacts, found: Offsets) -> Texts:
    """A callback is received behind the first that was sent of its kind."""
    first: dict[tuple[str | None, str | None], tuple[float, Generation]] = {}
    for row in job.generations:
        for told in row.callbacks:
            if told.sent is not None:
                sent = (told.sent, row)
                first[row.vendor_id, told.status] = min(
                    sent, first.get((row.vendor_id, told.status), sent), key=lambda pair: pair[0]
                )
    woken = max(
        (at for run in job.executions for name, at in run.signals if name == WAKES), default=None
    )
    for receipt in job.receipts:
        if receipt.fate == "applied" and receipt.task_status in ENDS and not met(job):
            name = f"{receipt.task_status} received"
            yield from _late(name, receipt.at, "its workflow was told", woken, slack=SLACK)
        pair = first.get((receipt.task_id, receipt.task_status))
        if pair is not None:
            sent_at, name = found[pair[1].step].earliest(pair[0]), str(receipt.task_status)
            cause = f"{name} was sent"
            yield from _late(cause, sent_at, f"{name} received", receipt.at, slack=SLACK)
