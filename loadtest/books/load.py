"""Read all raw records of a run, and sort them by stage and job, of whatever book."""

from collections.abc import Iterator

from pydantic import ValidationError

from loadtest.books import facts, raw, seal
from loadtest.books.facts import Row, mapping, owner, read, whole
from loadtest.books.histories import read_file
from loadtest.books.model import STEPS, Books, JobFacts, StageBook
from loadtest.books.raw import Damaged, RunFolder
from loadtest.times import instant

_SEMAPHORE = "semaphore-"
"""The workflows that grant; a chaos run keeps theirs, too."""
_WEIGHED = 1000
"""Histories that are weighed, at most; of more, each n-th; of a run with strikes, none."""


def load(folder: RunFolder) -> Books:
    """Read a run's raw records; raise Damaged, in one line, if they make no sense."""
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
    vendors = mapping(folder.read(raw.VENDORS))
    books = Books(
        run=_run(folder),
        stages=[],
        # What each vendor reports of itself.
        vendors={name: mapping(body) for name, body in vendors.items()},
        replay=folder.read(raw.REPLAY),
        clocks=[read(facts.Reading, row) for row in folder.rows(raw.CLOCKS)],
    )
    books.stages = [_stage(row, books.limit) for row in folder.rows(raw.STAGES)]
    chaos = mapping(folder.read(raw.CHAOS))
    books.struck = [row for row in chaos.get("struck") or () if isinstance(row, dict)]
    disturbed = mapping(chaos.get("disturbed")).items()
    books.disturbed = {job_id: frozenset(map(str, done)) for job_id, done in disturbed}
    _staged(folder, books)
    jobs = {job.job_id: job for job in books.jobs}
    _of_jobs(folder, jobs, books)
    _of_vendors(folder, jobs, books)
    _histories(folder, jobs, books)
    # Of a process that never answered there is no row.
    books.processes = {name: [] for name in mapping(mapping(books.run.get("code")).get("services"))}
    for row in folder.rows(raw.PROCESSES):
        if isinstance(row.get("cpu"), int | float):
            sample = (float(row.get("at") or 0.0), float(row["cpu"]))
            books.processes.setdefault(str(row.get("name")), []).append(sample)
    books.seal, books.torn = seal.check(folder), dict(folder.torn)
    return books


def _run(folder: RunFolder) -> Row:
    """Read what the run was to be; without a plan nothing can be judged."""
    run = mapping(folder.read(raw.RUN))
    plan = mapping(run.get("plan"))
    lists = isinstance(plan.get("thresholds"), list) and isinstance(plan.get("stages"), list)
    if not lists or not isinstance(plan.get("rate"), int | float | None):
        raise Damaged(f"{folder.raw / raw.RUN} is damaged: it has no plan")
    if not isinstance(run.get("stages"), list) or not run["stages"]:
        raise Damaged(f"{folder.raw / raw.RUN} is damaged: it names no stage of a job")
    if (schema := run.get("schema")) != raw.SCHEMA:
        text = f"its format is {schema}, and this version reads {raw.SCHEMA}"
        raise Damaged(f"{folder.raw / raw.RUN} is of another version: {text}")
    moments = {name: instant(run[name]) for name in ("began_at", "ended_at") if name in run}
    objects = {name: mapping(run[name]) for name in ("faults", "environment") if name in run}
    # The mocks tell every preset that there is, too, which says nothing of this run.
    for body in objects.get("faults", {}).values():
        mapping(body).pop("presets", None)
    return run | moments | objects


def _stage(row: Row, limit: int | None) -> StageBook:
    return StageBook(
        number=whole(row.get("stage")),
        planned_jobs=whole(row.get("jobs")),
        tag=str(row.get("tag", "")),
        began=float(row["began_at"]),
        ended=float(row["ended_at"]),
        why=str(row.get("why", "")),
        limit=limit,
        feeds=whole(row.get("feed_connections")),
        row=row,
    )


def _staged(folder: RunFolder, books: Books) -> None:
    """Read the books that name the stage of a job, and the samples of the slot."""
    stages = {stage.number: stage for stage in books.stages}
    tags = {stage.tag: stage for stage in books.stages}

    def known(stage: StageBook, job_id: object, name: str, row: Row) -> JobFacts:
        job = stage.jobs.setdefault(str(job_id), JobFacts(str(job_id), stage.number))
        job.rows.setdefault(name, []).append(row)
        return job

    for row in folder.rows(raw.SUBMITS):
        if (stage := stages.get(whole(row.get("stage")))) is not None:
            submit = read(facts.Submission, row)
            if submit.job_id is None:
                stage.refused.append(submit)
            else:
                known(stage, submit.job_id, raw.SUBMITS, row).submissions.append(submit)
    for row in folder.rows(raw.JOBS):
        stage, shown = stages.get(whole(row.get("stage"))), mapping(row.get("job"))
        if stage is not None and (job_id := shown.get("job_id")) is not None:
            job = read(facts.Shown, shown | {"listed": row.get("listed")})
            known(stage, job_id, raw.JOBS, row).api.append(job)
    for row in folder.rows(raw.EXECUTIONS):
        stage = tags.get(str(row.get("tag")))
        if stage is not None and row.get("job_id"):
            known(stage, row["job_id"], raw.EXECUTIONS, row)
    for row in folder.rows(raw.SLOTS):
        if (stage := stages.get(whole(row.get("stage")))) is not None:
            stage.samples.append(read(facts.SlotSample, row | {"row": row}))
        else:
            books.strays.append(("slots.stage", "the run", "a sample of the slot is of no stage"))


def _of_jobs(folder: RunFolder, jobs: dict[str, JobFacts], books: Books) -> None:
    """Read the books that name a job and no stage."""

    def rows(name: str, stray: str = "") -> Iterator[tuple[JobFacts, Row]]:
        """Return the rows of known jobs; `stray` is what is said of a row of another one."""
        for row in folder.rows(name):
            if (job := jobs.get(str(row.get("job_id")))) is not None:
                job.rows.setdefault(name, []).append(row)
                yield job, row
            elif stray:
                books.strays.append(("orphaned", str(row.get("job_id")), stray))

    for job, row in rows(raw.STATES):
        body, problem = mapping(row.get("record")), row.get("problem")
        missing = {"problem": str(problem or "empty")} if problem or not body else None
        job.record = read(facts.Shown, missing or body | {"problem": None})
    for job, row in rows(raw.FILES):
        job.files[str(row.get("kind"))] = read(facts.StoredFile, row)
    for job, row in rows(raw.RECEIPTS, "a callback was received for it, and no book knows it"):
        job.receipts.append(read(facts.Receipt, row | {"row": row}))
    for _ in rows(raw.FRAMES, "a frame shows it, and no book knows it"):
        pass


def _of_vendors(folder: RunFolder, jobs: dict[str, JobFacts], books: Books) -> None:
    """Read ledgers and fault traces, which name a job in the id that we gave."""
    for step in sorted({each.vendor for each in books.pipeline} | set(STEPS)):
        for row in folder.rows(raw.ledger(step)):
            job_id, _, attempt = owner(row.get("external_id"))
            # The vendor calls its own id `job_id`.
            ids: Row = {"vendor_id": row.get("job_id", ""), "external_id": row.get("external_id")}
            ids |= {"step": step, "job_id": job_id, "attempt": attempt, "row": row}
            generation = read(facts.Generation, row | ids)
            books.ledgers.setdefault(step, []).append(generation)
            if (job := jobs.get(job_id or "")) is not None:
                job.generations.append(generation)
            elif _during(generation, books):
                books.foreign.append(generation)
    for row in folder.rows(raw.FAULTS):
        job_id = owner(row.get("external_id"))[0]
        service, name = str(row.get("service", "")), str(row.get("external_id"))
        books.faults.setdefault(service, []).append(whole(row.get("seq")))
        if (job := jobs.get(job_id or "")) is None:
            text = f"a fault met {name}, which is of no job"
            books.strays.append(("faults.external_id", "the run", text))
        else:
            job.faults.append(read(facts.Injected, row | {"service": service}))
            job.rows.setdefault(raw.FAULTS, []).append(row)
    for job in jobs.values():
        job.generations.sort(key=lambda made: made.accepted or 0.0)
    books.foreign_jobs = {str(row["job_id"]): row for row in folder.rows(raw.FOREIGN)}


def _during(generation: facts.Generation, books: Books) -> bool:
    """Whether a foreign generation was under way while a stage ran."""
    if generation.accepted is None or not books.stages:
        return False
    began, ended = books.stages[0].began, books.stages[-1].ended
    return generation.accepted <= ended and (generation.finished or ended) >= began


def _histories(folder: RunFolder, jobs: dict[str, JobFacts], books: Books) -> None:
    """Read the histories: `JOB.json` of a job's newest run, `JOB.RUN.json` of one before it."""
    # The newest sorts last, also among runs that a reset gave one start.
    paths = sorted(folder.histories.glob("*.json"))
    every = 1 + len(paths) // _WEIGHED
    for place, path in enumerate(paths):
        books.histories += 1
        job_id = path.stem.partition(".")[0]
        if (job := jobs.get(job_id)) is not None:
            # A reset copies events.
            weigh = place % every == 0 and not books.struck
            run = read_file(path, job_id, weigh=weigh)
            if run.problem:
                folder.torn[f"histories/{path.name}"] = 1
            job.executions.append(run)
        elif not job_id.startswith(_SEMAPHORE):
            text = f"histories/{path.name} is of no job of the run"
            books.strays.append(("orphaned", job_id, text))
    for job in jobs.values():
        job.executions.sort(key=lambda run: run.started or 0.0)
