"""This run against a baseline, with "within noise" said out loud."""

from loadtest.judge.compare import FASTER, FEW, FEWER, SECONDS, WITHIN, Comparison, Quantity
from loadtest.report.blocks import (
    BAD,
    GOOD,
    INFO,
    Block,
    Cell,
    Code,
    Notice,
    Section,
    Table,
    own,
    row,
)
from loadtest.times import duration

_HEADS = (
    "stage",
    "quantity",
    "#n",
    "#median A",
    "#median B",
    "#change",
    "95 % interval",
    "verdict",
)


LEAD = (
    "Medians of single jobs and gaps. The interval of the change comes from 2000 bootstrap "
    "resamples; a change counts only outside of it and above 5 % and 10 ms, for two runs of "
    "one plan on one machine differ by that much. On another machine, or with other faults, "
    "there are numbers and no verdict."
)


def section(comparison: Comparison | None, run: str) -> Section:
    """The comparison, or how to make one of this run."""
    if comparison is None:
        blocks: list[Block] = [
            Notice(INFO, "No baseline was given. With this run as that of the latest:"),
            Code(f"make compare A={run}"),
        ]
        return Section("Compare", LEAD, blocks)
    return Section("Compare", LEAD, compared(comparison))


def compared(comparison: Comparison) -> list[Block]:
    """The verdict and the table."""
    blocks: list[Block] = [
        Table(("in the table", "run"), [row("A", own(comparison.a)), row("B", own(comparison.b))]),
        Notice(_tone(comparison), f"B against A: {comparison.verdict}."),
    ]
    blocks += [Notice(INFO, f"No verdict: {reason}.") for reason in comparison.why_not]
    judged = not comparison.why_not
    rows = [_row(quantity, judged=judged) for quantity in comparison.quantities]
    return [*blocks, Table(_HEADS, rows)]


def _tone(comparison: Comparison) -> str:
    if comparison.why_not:
        return INFO
    return BAD if comparison.worse else GOOD


def _row(quantity: Quantity, *, judged: bool) -> tuple[Cell, ...]:
    tones = {WITHIN: GOOD, FASTER: GOOD, FEWER: GOOD, FEW: ""}
    verdict = Cell(quantity.verdict, tones.get(quantity.verdict, BAD)) if judged else Cell("–")
    return row(
        quantity.stage,
        quantity.name,
        f"{quantity.n_a} / {quantity.n_b}",
        _write(quantity, quantity.a),
        _write(quantity, quantity.b),
        _signed(quantity, quantity.change),
        f"{_signed(quantity, quantity.low)} to {_signed(quantity, quantity.high)}",
        verdict,
    )


def _write(quantity: Quantity, value: float) -> str:
    return duration(value) if quantity.unit == SECONDS else f"{value:.0f}"


def _signed(quantity: Quantity, value: float) -> str:
    return f"{'+' if value > 0 else '−' if value < 0 else '±'}{_write(quantity, abs(value))}"
