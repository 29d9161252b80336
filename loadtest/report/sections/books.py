"""Jobs by each book, failed generations, callbacks and histories: whether everything adds up."""

from collections.abc import Callable
from itertools import chain

from loadtest.books.model import ENDS, KEPT_BY, JobFacts, StageBook, codes
from loadtest.judge.fates import (
    AGAIN,
    BY_RETRY,
    DEGRADED,
    FATES,
    GONE,
    MADE_GOOD,
    OUTCOMES,
    SURFACED,
    UNACCOUNTED,
)
from loadtest.judge.judge import Judgement, StageResult
from loadtest.report.page import (
    BAD,
    GOOD,
    INFO,
    WARN,
    Block,
    Cell,
    Cells,
    Notice,
    Section,
    Table,
    Text,
    row,
)
from loadtest.times import duration

_KINDS = ("lost", "duplicated", "orphaned", "charged_twice", "disagreements")
Counted = tuple[str, str, Callable[[JobFacts], bool]]
_COUNTED: tuple[Counted, ...] = (
    ("runner", "accepted by the API", lambda job: bool(job.submissions)),
    ("API and records", "listed by the API and ended", lambda job: job.status in ENDS),
    (
        "API and records",
        "with a record that has ended",
        lambda job: job.record is not None and job.record.status in ENDS,
    ),
    ("receipts", "with a callback received", lambda job: bool(job.receipts)),
    (
        "Temporal",
        "with a history that is closed",
        lambda job: job.execution is not None and job.execution.closed is not None,
    ),
)


def _of_step(step: str, *, is_shown: bool) -> list[Counted]:
    def is_whole(job: JobFacts) -> bool:
        return step in job.files and job.files[step].problem is None

    def has_good(job: JobFacts) -> bool:
        return any(generation.good for generation in job.of(step))

    made: Counted = ("ledgers", f"whose {step} succeeded", has_good)
    return [("files", f"whose {step} is whole", is_whole), *([made] if is_shown else [])]


def conservation(judgement: Judgement) -> Section:
    """Return the sums, the books beside each other, and how often they differ."""
    stages = judgement.books.stages
    # Real vendors show us none of their books.
    books = [name for name in KEPT_BY if judgement.books.mocks or name != "ledgers"]
    keepers = codes(books)
    lead = (
        "submitted = succeeded + degraded + failed + cancelled + still open, and still open must "
        f"be 0. {len(books)} books tell of a run, each counted on its own. They are kept by "
        f"{len(keepers)} code bases: {', '.join(keepers)}. Two books of one code base may share "
        "its mistakes, and count as one. Each difference is named in the first section."
    )
    names = tuple(f"#stage {stage.name}" for stage in stages)
    of_steps = (
        _of_step(each.name, is_shown=judgement.books.shows(each.name))
        for each in judgement.books.pipeline
    )
    counted = [
        row(book, KEPT_BY[book], text, *(str(sum(map(has, s.jobs.values()))) for s in stages))
        for book, text, has in chain(_COUNTED, *of_steps)
    ]
    sums = ("stage", "#submitted", "#ended", "#still open", "adds up", *(f"#{k}" for k in _KINDS))
    blocks: list[Block] = [
        Table(sums, list(map(_sum, stages, judgement.stages)), "The sum, and the differences"),
        Table(("book", "kept by", "jobs", *names), counted, "Jobs by book"),
    ]
    if not judgement.findings:
        blocks.append(Notice(GOOD, "The books agree in everything that they can say."))
    return Section("Conservation ledger", lead, blocks)


def _sum(stage: StageBook, result: StageResult) -> Cells:
    ended = sum(job.status in ENDS for job in stage.jobs.values() if job.submissions)
    left = stage.accepted - ended
    adds_up = Cell("no", BAD) if left else Cell("yes", GOOD)
    differences = (_none(result.counts[kind], bad=True) for kind in _KINDS)
    return row(stage.name, str(stage.accepted), str(ended), str(left), adds_up, *differences)


def retries(judgement: Judgement) -> Section:
    """Attempts, errors by class, and the fate of each failed generation."""
    lead = (
        "A failed generation must be recovered by a retry, end its job degraded, or surface as the "
        "job's failure. Repeated calls are those of Temporal's activities; they use up no attempt."
    )
    stages = judgement.stages
    blocks: list[Block] = []
    if mocks := judgement.books.mocks:
        attempts = [_attempts(stage, step) for stage in stages for step in mocks]
        numbers = ("#1 attempt", "#2", "#3", "#4 or more")
        blocks.append(Table(("stage", "of", *numbers), attempts, "Generations per job"))
        fates = (BY_RETRY, DEGRADED, SURFACED, UNACCOUNTED)
        heads = ("stage", "#failed", *(f"#{fate}" for fate in fates), "#vendors' time lost")
        rows = [
            row(
                stage.name,
                str(sum(stage.retries.fates.values())),
                *(_none(stage.retries.fates[fate], bad=fate == UNACCOUNTED) for fate in fates),
                duration(stage.retries.seconds),
            )
            for stage in stages
        ]
        blocks.append(Table(heads, rows, "Failed generations"))
        blocks.append(_faults(stages))
    errors = [
        row(stage.name, f"{step}{kind}", name, str(count))
        for stage in stages
        for book, kind in ((stage.retries.errors, " generation"), (stage.retries.calls, ""))
        for (step, name), count in book.most_common(20)
    ]
    if errors:
        blocks.append(
            Table(
                ("stage", "what", "error class", "#times"),
                errors,
                "Errors of generations and calls, by class",
            )
        )
    else:
        blocks.append(Notice(GOOD, "No generation failed and no call had to be repeated."))
    return Section("Retries", lead, blocks)


def _attempts(stage: StageResult, step: str) -> Cells:
    made = stage.retries.attempts[step]
    many = sum(count for number, count in made.items() if number >= 4)
    return row(stage.name, step, *(str(made[n]) for n in (1, 2, 3)), str(many))


def _faults(stages: list[StageResult]) -> Block:
    kinds = sorted({key[:2] for stage in stages for key in stage.faults.outcomes})
    if not kinds:
        return Notice(INFO, "The mocks injected no fault into these jobs.")
    rows = [
        row(
            service,
            what,
            *(
                _none(
                    sum(stage.faults.outcomes[(service, what, outcome)] for stage in stages),
                    bad=outcome == UNACCOUNTED,
                )
                for outcome in OUTCOMES
            ),
        )
        for service, what in kinds
    ]
    heads = ("service", "fault", *(f"#{outcome}" for outcome in OUTCOMES))
    return Table(heads, rows, "Injected faults, by the mocks' own trace")


def _none(count: int, *, bad: bool) -> Cell:
    return Cell(str(count), BAD if bad and count else "")


def callbacks(judgement: Judgement) -> Section:
    """Return the callbacks sent by the ledger and received by our receipts, by fate."""
    lead = (
        "sent = applied + duplicate + late + early + out of order + rejected + unknown + sent "
        "again (a try that failed and was repeated with success) + lost and made good by a poll + "
        "lost; lost must be 0. A vendor sends one per change of a task, or withholds it by a fault."
    )
    blocks: list[Block] = [Text("Without mocks it is not known what was sent.")]
    if judgement.books.callbacks_known:
        fates = (*FATES, AGAIN, MADE_GOOD, GONE)
        rows = [
            row(
                stage.name,
                str(stage.callbacks.sent),
                *(_none(stage.callbacks.fates[fate], bad=fate == GONE) for fate in fates),
            )
            for stage in judgement.stages
        ]
        heads = ("stage", "#sent", *(f"#{fate.replace('_', ' ')}" for fate in fates))
        blocks = [Table(heads, rows)]
    return Section("Callback fates", lead, blocks)


def history(judgement: Judgement) -> Section:
    """Events, workflow tasks and bytes per job, and what the replay of the histories gave."""
    replay = judgement.books.replay or {}
    kept, replayed = judgement.books.histories, int(replay.get("replayed") or 0)
    whole = replayed == kept and not replay.get("failures")
    tone = GOOD if whole and kept else BAD if replayed else WARN
    text = f"{replayed} of {kept} kept histories replayed with the current code."
    rows = [
        row(stage.name, name, str(found.n), *(None if v is None else f"{v:,.0f}" for v in values))
        for stage in judgement.stages
        for name, found in (
            ("events", stage.history_events),
            ("workflow tasks", stage.history_tasks),
            ("bytes", stage.history_bytes),
        )
        for values in ((found.min, found.median, found.max),)
    ]
    blocks: list[Block] = [
        Notice(tone, text),
        Table(("stage", "per job", "#n", "#min", "#median", "#max"), rows),
    ]
    lead = "What one job leaves in Temporal: a history that grows without need costs every replay."
    return Section("Determinism and history", lead, blocks)
