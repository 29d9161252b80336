"""What became of every callback that a vendor sent."""

from loadtest.judge.judge import Judgement
from loadtest.judge.measures.callbacks import AGAIN, BY_POLL, FATES, LOST
from loadtest.judge.stage import StageResult
from loadtest.report.blocks import BAD, Cell, Section, Table, Text, row

_ALL = (*FATES, AGAIN, BY_POLL, LOST)


def section(judgement: Judgement) -> Section:
    """Sent by the vendor's ledger, received by our receipts."""
    lead = (
        "sent = applied + duplicate + late + early + out of order + rejected + unknown + sent "
        "again (a try that failed and was repeated with success) + lost and made good by a poll + "
        "lost; lost must be 0. A vendor sends one per change of a task, or withholds it by a fault."
    )
    if not judgement.books.mocked:
        return Section(
            "Callback fates", lead, [Text("Without mocks it is not known what was sent.")]
        )
    rows = [_row(stage) for stage in judgement.stages]
    heads = ("stage", "#sent", *(f"#{name.replace('_', ' ')}" for name in _ALL))
    return Section("Callback fates", lead, [Table(heads, rows)])


def _row(stage: StageResult) -> tuple[Cell, ...]:
    book = stage.callbacks
    return row(
        stage.name,
        str(book.sent),
        *(
            Cell(str(book.fates[name]), BAD if name == LOST and book.fates[name] else "")
            for name in _ALL
        ),
    )
