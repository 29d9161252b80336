"""What had to be tried again, and that no failed generation is unaccounted for."""

from loadtest.books.model import STEPS
from loadtest.judge.judge import Judgement
from loadtest.judge.measures.faults import OUTCOMES
from loadtest.judge.measures.retries import DEGRADED, RECOVERED, SURFACED, UNACCOUNTED
from loadtest.judge.stage import StageResult
from loadtest.report.blocks import BAD, GOOD, INFO, Block, Cell, Notice, Section, Table, row
from loadtest.times import duration


def section(judgement: Judgement) -> Section:
    """Attempts, errors by class, and the fate of each failed generation."""
    lead = (
        "A failed generation must be recovered by a retry, end its job degraded, or surface as the "
        "job's failure. Repeated calls are those of Temporal's activities; they use up no attempt."
    )
    stages = judgement.stages
    blocks: list[Block] = []
    if judgement.books.mocked:
        blocks.append(
            Table(
                ("stage", "of", "#1 attempt", "#2", "#3", "#4 or more"),
                _attempts(stages),
                "Generations per job",
            )
        )
        heads = (
            "stage",
            "#failed",
            f"#{RECOVERED}",
            f"#{DEGRADED}",
            f"#{SURFACED}",
            f"#{UNACCOUNTED}",
            "#vendors' time lost",
        )
        blocks.append(Table(heads, [_fates(stage) for stage in stages], "Failed generations"))
        blocks.append(_faults(stages))
    errors = [
        row(stage.name, what, name, str(count))
        for stage in stages
        for book, kind in ((stage.retries.errors, " generation"), (stage.retries.calls, ""))
        for (step, name), count in book.most_common(20)
        for what in (f"{step}{kind}",)
    ]
    if errors:
        blocks.append(Table(("stage", "what", "error class", "#times"), errors, "Errors by class"))
    else:
        blocks.append(Notice(GOOD, "No generation failed and no call had to be repeated."))
    return Section("Retries", lead, blocks)


def _faults(stages: list[StageResult]) -> Block:
    """Each injected fault and what became of it."""
    kinds = sorted({key[:2] for stage in stages for key in stage.faults.outcomes})
    if not kinds:
        return Notice(INFO, "The mocks injected no fault into these jobs.")
    rows = [
        row(service, what, *(_outcome(stages, service, what, outcome) for outcome in OUTCOMES))
        for service, what in kinds
    ]
    heads = ("service", "fault", *(f"#{outcome}" for outcome in OUTCOMES))
    return Table(heads, rows, "Injected faults, by the mocks' own trace")


def _outcome(stages: list[StageResult], service: str, what: str, outcome: str) -> Cell:
    count = sum(stage.faults.outcomes[(service, what, outcome)] for stage in stages)
    return Cell(str(count), BAD if count and outcome == UNACCOUNTED else "")


def _attempts(stages: list[StageResult]) -> list[tuple[Cell, ...]]:
    found = []
    for stage in stages:
        for step in STEPS:
            made = stage.retries.attempts[step]
            many = sum(count for number, count in made.items() if number >= 4)
            found.append(
                row(
                    stage.name,
                    step,
                    *(str(made[n]) for n in (1, 2, 3)),
                    str(many),
                )
            )
    return found


def _fates(stage: StageResult) -> tuple[Cell, ...]:
    book = stage.retries
    return row(
        stage.name,
        str(sum(book.fates.values())),
        *(str(book.fates[fate]) for fate in (RECOVERED, DEGRADED, SURFACED)),
        Cell(str(book.fates[UNACCOUNTED]), BAD if book.fates[UNACCOUNTED] else ""),
        duration(book.seconds),
    )
