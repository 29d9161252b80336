"""The gap between one job's end and the next one's start, beside a plain hop."""

from loadtest.judge.judge import Judgement
from loadtest.judge.measures.stats import Spread
from loadtest.judge.stage import StageResult
from loadtest.report.blocks import Block, Cell, Section, Table, Text, row
from loadtest.report.charts import histogram
from loadtest.times import duration

_FEWEST = 20
_HEADS = ("stage", "what", "#n", "#min", "#median", "#p95", "#p99", "#max")


def section(judgement: Judgement) -> Section:
    """Hand-over between jobs while the queue was not empty."""
    lead = (
        "From the close of a job's run to the first acceptance of the job that got its slot, "
        "counted only where that job was already waiting. The plain step, from an activity's "
        "completion to the start of the next in the same job (its record is written in between), "
        "is what the engine costs within a job in the same run."
    )
    if not judgement.books.mocked:
        return Section(
            "Hand-over gap",
            lead,
            [Text("Without mocks there is no vendor's clock to measure it with.")],
        )
    rows = [line for stage in judgement.stages for line in _rows(stage)]
    ratios: list[Block] = [Text(text) for stage in judgement.stages if (text := _ratio(stage))]
    charts = [_histogram(stage) for stage in judgement.stages if len(stage.gaps) >= _FEWEST]
    return Section("Hand-over gap", lead, [Table(_HEADS, rows), *ratios, *charts])


def _histogram(stage: StageResult) -> Block:
    caption = (
        f"Stage {stage.name}: how long the {len(stage.gaps)} hand-overs took. "
        "One narrow hill is good, a second hill is a "
        "second cause."
    )
    return histogram(stage.gaps, name="Hand-over gap", caption=caption)


def _rows(stage: StageResult) -> list[tuple[Cell, ...]]:
    return [
        _line(stage, "hand-over (close to next image accepted)", stage.hand_over),
        _line(
            stage, "vendor idle (last generation's end to next image accepted)", stage.vendor_idle
        ),
        _line(stage, "plain step (activity to activity)", stage.hops),
    ]


def _line(stage: StageResult, name: str, found: Spread) -> tuple[Cell, ...]:
    times = (
        duration(value) for value in (found.min, found.median, found.p95, found.p99, found.max)
    )
    return row(stage.name, name, str(found.n), *times)


def _ratio(stage: StageResult) -> str | None:
    hop, gap, makespan = stage.hops.median, stage.hand_over.median, stage.timing.makespan
    if not hop or gap is None or not makespan:
        return None
    share = stage.hand_over.total / makespan / (stage.limit or 1)
    return (
        f"Stage {stage.name}: the median hand-over is {gap / hop:.1f} plain steps; "
        f"all hand-overs together are {share:.1%} of the slots' time."
    )
