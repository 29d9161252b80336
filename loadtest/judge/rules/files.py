"""A hash for each stored file: of what a vendor made, for this job's prompt, for nobody else."""

from collections.abc import Iterator

from loadtest.books.facts import Generation, StoredFile
from loadtest.books.model import Books, JobFacts
from loadtest.judge.findings import Finding
from loadtest.judge.rules.common import NEEDED, Texts, each, met, thrown

KIND = "file"
SHOWN = 200
"""Characters of a prompt that a mock's ledger keeps."""


def broken(books: Books) -> Iterator[Finding]:
    """Files that are missing, unlike, or not the job's."""
    yield from each(books, KIND, _prompts)
    if "files" not in books.unread:
        yield from each(books, KIND, _stored)
        yield from _shared(books)
    if books.mocked:
        yield from each(books, KIND, _made, _belong)


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
                yield Finding(KIND, job.job_id, job.stage, text)


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
