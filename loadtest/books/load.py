"""All raw records of a run, sorted by stage and job; a job that any book names is there."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from loadtest.books import raw, seal
from loadtest.books.facts import (
    ApiJob,
    Frame,
    Generation,
    Injected,
    Listed,
    Reading,
    Receipt,
    Record,
    Row,
    SlotSample,
    StoredFile,
    Submission,
    mapping,
    owner,
    read,
    whole,
)
from loadtest.books.histories import read_file
from loadtest.books.model import STEPS, Books, JobFacts, StageBook
from loadtest.books.raw import Damaged, RunFolder
from loadtest.times import instant

_SEMAPHORE = "semaphore-"
"""The workflows that grant; a chaos run keeps theirs, too."""


def load(folder: RunFolder) -> Books:
    """Read a run's raw records; raises Damaged, in one line, where they make no sense."""
    try:
        folder.check()
        return _load(folder)
    except ValidationError as error:
        mistake = error.errors()[0]
        where = ".".join(map(str, mistake["loc"]))
        raise Damaged(f"{folder.raw}: {error.title} {where}: {mistake['msg']}") from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Damaged(f"{folder.raw} is damaged: {type(error).__name__}: {error}") from None


def _load(folder: RunFolder) -> Books:
    run = _run(folder)
    stages = [_stage(row) for row in folder.rows(raw.STAGES)]
    books = Books(run=run, stages=stages, vendors=_vendors(folder))
    books.replay = folder.read(raw.REPLAY)
    by_number = {stage.number: stage for stage in stages}
    _submits(folder, by_number)
    _api(folder, by_number)
    _executions(folder, {stage.tag: stage for stage in stages})
    jobs = {job.job_id: job for job in books.jobs}
    _details(folder, jobs, books)
    _generations(folder, jobs, books)
    _frames(folder, jobs, books)
    _kept(folder, jobs, books)
    _samples(folder, by_number, books)
    _processes(folder, books)
    books.clocks = [read(Reading, row) for row in folder.rows(raw.CLOCKS)]
    books.seal, books.torn = seal.check(folder), dict(folder.torn)
    return books


def _run(folder: RunFolder) -> Row:
    """What the run was to be; without a plan nothing can be judged."""
    run = mapping(folder.read(raw.RUN))
    plan = mapping(run.get("plan"))
    lists = isinstance(plan.get("thresholds"), list) and isinstance(plan.get("stages"), list)
    if not lists or not isinstance(plan.get("rate"), int | float | None):
        raise Damaged(f"{folder.raw / raw.RUN} is damaged: it has no plan")
    moments = {name: instant(run[name]) for name in ("began_at", "ended_at") if name in run}
    objects = {name: mapping(run[name]) for name in ("faults", "environment") if name in run}
    # The mocks tell every preset that there is, too, which says nothing of this run.
    for body in objects.get("faults", {}).values():
        mapping(body).pop("presets", None)
    return run | moments | objects


def _vendors(folder: RunFolder) -> dict[str, Any]:
    """What each vendor told of itself."""
    return {name: mapping(told) for name, told in mapping(folder.read(raw.VENDORS)).items()}


def _stage(row: Row) -> StageBook:
    seen = [mapping(row.get(key)).get("limit") for key in ("slots_before", "slots_after")]
    limits = frozenset(limit for limit in seen if isinstance(limit, int))
    return StageBook(
        number=whole(row.get("stage")),
        planned_jobs=whole(row.get("jobs")),
        tag=str(row.get("tag", "")),
        began=float(row["began_at"]),
        ended=float(row["ended_at"]),
        why=str(row.get("why", "")),
        limit=max(limits) if limits else None,
        limits_seen=limits,
        feeds=whole(row.get("feed_connections")),
        row=row,
    )


def _facts(stage: StageBook, job_id: str) -> JobFacts:
    return stage.jobs.setdefault(job_id, JobFacts(job_id, stage.number))


def _submits(folder: RunFolder, stages: dict[int, StageBook]) -> None:
    for row in folder.rows(raw.SUBMITS):
        stage = stages.get(whole(row.get("stage")))
        if stage is None:
            continue
        submit = read(Submission, row)
        if submit.job_id is None:
            stage.refused.append(submit)
        else:
            job = _facts(stage, submit.job_id)
            job.submissions.append(submit)
            job.rows.setdefault(raw.SUBMITS, []).append(row)


def _api(folder: RunFolder, stages: dict[int, StageBook]) -> None:
    """Read the jobs as the list shows them."""
    for row in folder.rows(raw.JOBS):
        stage = stages.get(whole(row.get("stage")))
        shown = mapping(row.get("job"))
        if stage is not None and shown.get("job_id") is not None:
            job = read(ApiJob, shown | {"listed": row.get("listed")})
            facts = _facts(stage, str(shown["job_id"]))
            facts.api.append(job)
            facts.rows.setdefault(raw.JOBS, []).append(row)


def _executions(folder: RunFolder, stages: dict[str, StageBook]) -> None:
    for row in folder.rows(raw.EXECUTIONS):
        stage = stages.get(str(row.get("tag")))
        if stage is not None and row.get("job_id"):
            job = _facts(stage, str(row["job_id"]))
            job.listed.append(read(Listed, row))
            job.rows.setdefault(raw.EXECUTIONS, []).append(row)
            job.runs.add(job.listed[-1].run_id)


def _details(folder: RunFolder, jobs: dict[str, JobFacts], books: Books) -> None:
    for row, job in _of_jobs(folder, raw.STATES, jobs):
        job.record = _record(row)
    for row, job in _of_jobs(folder, raw.FILES, jobs):
        job.files[str(row.get("kind"))] = read(StoredFile, row)
    for row in folder.rows(raw.RECEIPTS):
        owner = jobs.get(str(row.get("job_id")))
        if owner is None:
            books.stray_receipts.append(str(row.get("job_id")))
        else:
            owner.receipts.append(read(Receipt, row))
            owner.rows.setdefault(raw.RECEIPTS, []).append(row)


def _frames(folder: RunFolder, jobs: dict[str, JobFacts], books: Books) -> None:
    for row in folder.rows(raw.FRAMES):
        job = jobs.get(str(row.get("job_id")))
        if job is None:
            books.stray_frames.append(str(row.get("job_id")))
            continue
        frame = Frame(
            source=str(row.get("source")),
            at=float(row.get("at") or 0.0),
            version=whole(row.get("version")),
            status=str(row.get("status")),
            step=row.get("step"),
            percent=whole(row.get("percent")),
        )
        job.frames.append(frame)
        job.rows.setdefault(raw.FRAMES, []).append(row)


def _kept(folder: RunFolder, jobs: dict[str, JobFacts], books: Books) -> None:
    """`JOB.json` is the history of a job's newest run, `JOB.RUN.json` that of one before it."""
    # The newest sorts last, also among runs that a reset gave one start.
    for path in sorted(folder.histories.glob("*.json")):
        books.histories += 1
        job_id = path.stem.partition(".")[0]
        job = jobs.get(job_id)
        if job is not None:
            run = read_file(path, job_id)
            job.executions.append(run)
            job.runs |= {run.run_id} - {""}
        elif not job_id.startswith(_SEMAPHORE):
            books.stray_histories.append(path.name)
    for job in jobs.values():
        job.executions.sort(key=lambda run: run.started or 0.0)


def _of_jobs(
    folder: RunFolder, name: str, jobs: dict[str, JobFacts]
) -> Iterator[tuple[Row, JobFacts]]:
    for row in folder.rows(name):
        job = jobs.get(str(row.get("job_id")))
        if job is not None:
            job.rows.setdefault(name, []).append(row)
            yield row, job


def _record(row: Row) -> Record:
    body = mapping(row.get("record"))
    if row.get("problem") or not body:
        return Record(problem=str(row.get("problem") or "empty"))
    return read(Record, body | {"problem": None})


def _generations(folder: RunFolder, jobs: dict[str, JobFacts], books: Books) -> None:
    for step in sorted({each.vendor for each in books.pipeline} | set(STEPS)):
        for row in folder.rows(raw.ledger(step)):
            generation = _generation(step, row)
            books.ledgers.setdefault(step, []).append(generation)
            job = jobs.get(generation.job_id or "")
            if job is not None:
                job.generations.append(generation)
                job.ledger.append(row)
            elif _during(generation, books):
                books.foreign.append(generation)
    for row in folder.rows(raw.FAULTS):
        job_id, _ = owner(row.get("external_id"))
        service = str(row.get("service", ""))
        fault = read(Injected, row | {"service": service, "job_id": job_id})
        books.faults.setdefault(service, []).append(whole(row.get("seq")))
        if fault.job_id not in jobs:
            books.stray_faults.append(str(row.get("external_id")))
        else:
            jobs[fault.job_id].faults.append(fault)
            jobs[fault.job_id].rows.setdefault(raw.FAULTS, []).append(row)
    for job in jobs.values():
        both = sorted(
            zip(job.generations, job.ledger, strict=True), key=lambda pair: pair[0].accepted or 0.0
        )
        job.generations, job.ledger = [each for each, _ in both], [row for _, row in both]
    for row in folder.rows(raw.FOREIGN):
        books.foreign_jobs[str(row["job_id"])] = bool(row.get("known"))
        ended = instant(row.get("finished_at"))
        if ended is not None:
            books.foreign_ends[str(row["job_id"])] = ended
        books.foreign_tags[str(row["job_id"])] = str(row.get("tag"))


def _generation(step: str, row: Row) -> Generation:
    """The vendor calls its own id `job_id`; the job is in the id that we gave it."""
    job_id, attempt = owner(row.get("external_id"))
    ids = {"vendor_id": row.get("job_id", ""), "external_id": row.get("external_id")}
    return read(Generation, row | ids | {"step": step, "job_id": job_id, "attempt": attempt})


def _during(generation: Generation, books: Books) -> bool:
    """Whether a foreign generation was under way while a stage ran."""
    if generation.accepted is None or not books.stages:
        return False
    began, ended = books.stages[0].began, books.stages[-1].ended
    return generation.accepted <= ended and (generation.finished or ended) >= began


def _processes(folder: RunFolder, books: Books) -> None:
    for row in folder.rows(raw.PROCESSES):
        if isinstance(row.get("cpu"), int | float):
            books.processes.setdefault(str(row.get("name")), []).append(float(row["cpu"]))


def _samples(folder: RunFolder, stages: dict[int, StageBook], books: Books) -> None:
    for row in folder.rows(raw.SLOTS):
        stage = stages.get(whole(row.get("stage")))
        if stage is not None:
            stage.samples.append(read(SlotSample, row))
            stage.sample_rows.append(row)
        else:
            books.stray_samples += 1
    for stage in stages.values():
        seen = {sample.limit for sample in stage.samples if sample.limit is not None}
        stage.limits_seen |= seen
        stage.limit = max(stage.limits_seen) if stage.limits_seen else None
