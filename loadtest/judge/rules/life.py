"""The life of a job as an automaton, in its record, in the list of jobs and in every frame."""

from collections.abc import Iterator
from itertools import pairwise

from loadtest.books.facts import Transition
from loadtest.books.model import ENDS, Books, JobFacts
from loadtest.judge.findings import Finding
from loadtest.judge.rules.common import NEEDED, Texts, each, once

KIND = "life"
FOLLOWS = {
    "queued": {"queued", "running", "failed", "cancelled"},
    # A reset puts a running job back into the queue.
    "running": {"running", "queued", *ENDS},
}
"""What may come behind a status; behind an end, nothing."""
MOVING = {"queue_position"}


def broken(books: Books) -> Iterator[Finding]:
    """Lives that the automaton does not know."""
    for job_id in books.stray_frames:
        yield Finding(KIND, job_id, 0, "a frame shows it, and no book knows it")
    if "records" not in books.unread:
        yield from each(books, KIND, _versions, _statuses, _progress, _stages, _list)
    if books.done:
        yield from each(books, KIND, _seen)
    yield from each(books, KIND, _feed)


def _versions(job: JobFacts, books: Books) -> Texts:
    """From 1 on, one by one, to the version that list and record have."""
    versions = [change.version for change in job.changes]
    if versions != list(range(1, len(versions) + 1)):
        yield f"its versions are {', '.join(map(str, versions))}"
    if job.record and versions and job.record.version != versions[-1]:
        yield f"its record has version {job.record.version}, its last change {versions[-1]}"


def _statuses(job: JobFacts, books: Books) -> Texts:
    """Queued at first; each status may follow the one before it, and the last is the job's."""
    changes = job.changes
    if changes and changes[0].status != "queued":
        yield f"its record begins with {changes[0].status}"
    for before, after in pairwise(changes):
        if after.status not in FOLLOWS.get(before.status, set()):
            yield f"version {after.version} is {after.status}, behind {before.status}"
    if changes and changes[-1].status != job.status:
        yield f"its last change is {changes[-1].status}, and it has {job.status}"


def _progress(job: JobFacts, books: Books) -> Texts:
    """Inside a stage attempts rise, and inside an attempt the percentage; a reset begins anew."""
    for before, after in _pairs(job):
        # The last attempt is given back where the vendor refused it for good.
        least = before.attempt - (job.status != "succeeded")
        if after.step == before.step and after.attempt < least:
            yield f"version {after.version} is of attempt {after.attempt} again"
        same = (after.step, after.attempt) == (before.step, before.attempt)
        if same and after.percent < before.percent:
            yield f"version {after.version} falls from {before.percent} % to {after.percent} %"
        if (before.step, after.step) == ("video", "image"):
            yield f"version {after.version} makes an image behind the video"


def _pairs(job: JobFacts) -> Iterator[tuple[Transition, Transition]]:
    """Changes that follow each other in one run."""
    return ((b, a) for b, a in pairwise(job.changes) if a.status != "queued")


def _stages(job: JobFacts, books: Books) -> Texts:
    """A job that succeeded has been through both stages, and is whole."""
    needed = list(NEEDED.get(str(job.status), ()))
    steps = list(dict.fromkeys(change.step for change in job.changes if change.step))
    if once(job) and job.changes and steps[: len(needed)] != needed:
        yield f"it went through {', '.join(map(str, steps)) or 'no stage'}"
    if job.status == "succeeded" and job.changes and job.changes[-1].percent != 100:
        yield f"it has succeeded at {job.changes[-1].percent} %"


def _list(job: JobFacts, books: Books) -> Texts:
    """List, record and last change show the same."""
    record, shown = job.record, job.api[0]
    if record is None or record.problem:
        return
    differing = [name for name in job.unlike if name not in MOVING]
    if differing:
        yield f"list and record differ in {', '.join(differing)}"
    ours = (shown.status, shown.step, shown.percent, shown.version)
    theirs = (record.status, record.step, record.percent, record.version)
    if ours != theirs:
        yield f"the list shows {_text(ours)}, its record {_text(theirs)}"
    for last in job.changes[-1:]:
        change = (last.status, last.step, last.percent, last.version)
        if change != theirs:
            yield f"its record shows {_text(theirs)}, its last change {_text(change)}"


def _seen(job: JobFacts, books: Books) -> Texts:
    """The runner has followed the job to its end."""
    if not any(frame.status in ENDS for frame in job.frames):
        yield "nobody saw it end"


def _feed(job: JobFacts, books: Books) -> Texts:
    """A frame shows a version as it was, and the feed never goes back."""
    noted = {change.version: change for change in job.changes}
    newest = -1
    for frame in job.frames:
        if frame.source == "ws" and frame.version < newest:
            yield f"the feed went back from version {newest} to {frame.version}"
        newest = max(newest, frame.version) if frame.source == "ws" else newest
        change = noted.get(frame.version)
        shown = (frame.status, frame.step, frame.percent)
        if change is None and noted and (frame.version != 0 or frame.status != "queued"):
            yield f"a frame shows version {frame.version}, which its record does not know"
        elif change is not None and shown != (change.status, change.step, change.percent):
            yield f"a frame shows version {frame.version} as {_text(shown)}"


def _text(shown: tuple[object, ...]) -> str:
    return " ".join(str(each_one) for each_one in shown if each_one is not None)
