"""Where the slots' time went; the parts add up to all of it."""

from loadtest.judge.judge import Judgement
from loadtest.judge.measures.schedule import PARTS, SERVICE
from loadtest.judge.measures.timing import FORMULA
from loadtest.judge.stage import StageResult
from loadtest.report.blocks import Block, Cell, Section, Table, Text, row
from loadtest.times import duration


def section(judgement: Judgement) -> Section:
    """The lower bound, and every second above it by its cause."""
    lead = f"Efficiency = bound / makespan. {FORMULA[0].upper()}{FORMULA[1:]}."
    laid = [stage for stage in judgement.stages if stage.parts]
    if not laid:
        return Section(
            "Efficiency",
            lead,
            [Text("Without the vendors' clocks the parts can't be told apart.")],
        )
    heads = (
        "part",
        *(head for stage in laid for head in (f"#stage {stage.name}", "#share")),
    )
    rows = [_part(name, laid) for name in PARTS]
    rows += [_total(laid), _makespan(laid)]
    blocks: list[Block] = [Table(heads, rows, "The slots' time by what it went to")]
    blocks += [Text(_sentence(stage)) for stage in laid]
    return Section("Efficiency", lead, blocks)


def _part(name: str, laid: list[StageResult]) -> tuple[Cell, ...]:
    cells: list[str] = [name]
    for stage in laid:
        spent = stage.parts or {}
        cells += [duration(spent[name]), f"{spent[name] / (sum(spent.values()) or 1):.1%}"]
    return row(*cells)


def _total(laid: list[StageResult]) -> tuple[Cell, ...]:
    cells: list[str] = ["sum, to the last close"]
    for stage in laid:
        spent = (stage.parts or {}).values()
        cells += [duration(sum(spent)), f"{sum(spent) / (sum(spent) or 1):.1%}"]
    return row(*cells)


def _makespan(laid: list[StageResult]) -> tuple[Cell, ...]:
    """What the sum is of: the makespan ends at the last end, the slots' time at the last close."""
    cells: list[str] = ["slots x makespan, to the last end"]
    for stage in laid:
        whole = (stage.limit or 1) * (stage.timing.makespan or 0.0)
        cells += [duration(whole), f"{whole / (sum((stage.parts or {}).values()) or 1):.1%}"]
    return row(*cells)


def _sentence(stage: StageResult) -> str:
    spent = stage.parts or {}
    name, seconds = max(
        ((n, s) for n, s in spent.items() if n != SERVICE), key=lambda part: part[1]
    )
    timing = stage.timing
    ratio = f"{timing.ratio:.3f} times the service time" if timing.ratio else "without an ideal"
    return (
        f"Stage {stage.name}: makespan {duration(timing.makespan)}, {ratio}; the "
        f"largest part beside the service itself is {name} with {duration(seconds)}."
    )
