"""The life of a job as an automaton, and a hash for each of its stored files."""

from collections.abc import Iterator
from itertools import pairwise

from loadtest.books.facts import Generation, StoredFile, Transition
from loadtest.books.model import ENDS, Books, JobFacts
from loadtest.judge.findings import Finding
from loadtest.judge.rules.common import NEEDED, Texts, each, met, once, thrown

LIFE = "life"
FOLLOWS = {
    "queued": {"queued", "running", "failed", "cancelled"},
    # A reset puts a running job back into the queue.
    "running": {"running", "queued", *ENDS},
}
"""What may come behind a status; behind an end, nothing."""
MOVING = {"queue_position"}


def life(books: Books) -> Iterator[Finding]:
    """Lives that the automaton does not know."""
    for job_id in books.stray_frames:
        yield Finding(LIFE, job_id, 0, "a frame shows it, and no book knows it")
    if "records" not in books.unread:
        yield from each(books, LIFE, _versions, _statuses, _progress, _stages, _list)
    if books.done:
        yield from each(books, LIFE, _seen)
    yield from each(books, LIFE, _feed)


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


FILE = "file"
SHOWN = 200
"""Characters of a prompt that a mock's ledger keeps."""


def file(books: Books) -> Iterator[Finding]:
    """Files that are missing, unlike, or not the job's."""
    yield from each(books, FILE, _prompts)
    if "files" not in books.unread:
        yield from each(books, FILE, _stored)
        yield from _shared(books)
    if books.mocked:
        yield from each(books, FILE, _made, _belong)


def _stored(job: JobFacts, books: Books) -> Texts:
    """What the end needs was looked at, and is what the record says."""
    for kind in NEEDED.get(str(job.status), ()):
        stored = job.files.get(kind)
        if stored is None or stored.sha256 is None:
            yield f"nobody has seen its {kind}"
            continue
        if job.record is None or job.record.problem:
            continue
        noted = job.record.assets.get(kind)
        if noted is None or noted.sha256 is None:
            yield f"its record knows of no {kind}"
        elif noted.size != stored.bytes:
            yield f"its {kind} has {stored.bytes} bytes, its record says {noted.size}"


def _shared(books: Books) -> Iterator[Finding]:
    """No two jobs have the same file."""
    first: dict[str, str] = {}
    for job in books.jobs:
        for kind, stored in job.files.items():
            other = first.setdefault(str(stored.sha256), job.job_id)
            if stored.sha256 and other != job.job_id and not met(job, "result"):
                text = f"its {kind} is the file of {other}"
                yield Finding(FILE, job.job_id, job.stage, text)


def _made(job: JobFacts, books: Books) -> Texts:
    """What is stored is what a vendor made for this very job, by both their words."""
    if met(job, "result"):
        return
    brought = {result.sha256 for run in job.executions for result in run.results} - {None}
    for kind, stored in job.files.items():
        made = [_same(row.sha256, row.shows, stored) for row in _good(job, kind)]
        if False in made and True not in made:
            yield f"its {kind} is none that the {kind} service made for it"
        told = stored.sha256 in brought or thrown(job)
        if stored.sha256 and brought and not told:
            yield f"its {kind} is none that its history brought"


def _same(sha256: str | None, shows: str | None, file: StoredFile | Generation) -> bool | None:
    """Whether a file shows what another one does, by their bytes where nobody has looked; None
    where that can't be told. What tells of a file's making is not stored, the picture is."""
    if shows and file.shows:
        return shows == file.shows
    return sha256 == file.sha256 if sha256 and file.sha256 else None


def _belong(job: JobFacts, books: Books) -> Texts:
    """The film was made from the job's own picture."""
    for row in _good(job, "video"):
        made = [_same(row.source_sha256, row.source_shows, each) for each in _good(job, "image")]
        if False in made and True not in made and not met(job, "result"):
            yield f"{row.external_id} was made from a picture that is not the job's"


def _prompts(job: JobFacts, books: Books) -> Texts:
    """One prompt, in every book that tells it."""
    if job.submission is None:
        return
    sent = job.submission.prompt
    told = [("the list", job.api[0].prompt), ("its record", job.record and job.record.prompt)]
    for book, prompt in told:
        if prompt is not None and prompt != sent:
            yield f"its prompt is another one in {book}"
    for row in job.generations:
        if row.prompt is not None and not _is_for(row, sent):
            yield f"{row.external_id} was made for another prompt"


def _is_for(row: Generation, sent: str) -> bool:
    """Over a ComfyUI's own wire the style comes behind the prompt, as COMFYUI_PROMPT has it."""
    told = str(row.prompt)
    return told[:SHOWN] == sent[:SHOWN] or (row.step == "image" and told.startswith(f"{sent}, "))


def _good(job: JobFacts, step: str) -> list[Generation]:
    return [row for row in job.of(step) if row.good]
