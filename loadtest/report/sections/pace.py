"""How fast it went: the ladder, and the hand-over between jobs."""

from loadtest.judge.conserved import DUPLICATED, LOST
from loadtest.judge.judge import Judgement, StageResult
from loadtest.judge.pace import FORMULA, Spread
from loadtest.report.page import BAD, GOOD, Block, Cell, Cells, Section, Table, Text, row
from loadtest.times import duration

_ENDS = ("submitted", "succeeded", "degraded", "failed", "cancelled")
_COUNTS = (*_ENDS, LOST, DUPLICATED)
_SPREAD = ("#n", "#min", "#median", "#p95", "#p99", "#max")


def ladder(judgement: Judgement) -> Section:
    """Return how the system behaves from the smallest stage to the largest, a row each."""
    stages = judgement.stages
    lead = (
        "What each stage came to. Times run from the planned instant of a job's submission to its "
        "end; p95 is shown from 20 jobs on, p99 from 100."
    )
    heads = ("stage", *(f"#{name}" for name in _COUNTS), "#success", "#retries")
    pace = ("stage", "#n", "#makespan", "#ideal", "#efficiency", "#jobs/s", "#most at once / limit")
    times = [row(stage.name, *_spread(stage.pace.latency)) for stage in stages]
    blocks: list[Block] = [
        Table(heads, list(map(_outcome, stages)), "Outcomes"),
        Table(pace, list(map(_pace, stages)), "Pace"),
        Table(("stage", *_SPREAD), times, "Time from planned submission to end"),
        Text(f"Efficiency = bound / makespan, and {FORMULA}."),
    ]
    return Section("Ladder", lead, blocks)


def _outcome(stage: StageResult) -> Cells:
    counts, bad = stage.counts, ("failed", LOST, DUPLICATED)
    cells = [Cell(str(counts[n]), BAD if counts[n] and n in bad else "") for n in _COUNTS]
    rate, retries = stage.metrics["success_rate"] or 0.0, stage.metrics["retries"]
    success = Cell(f"{rate:.1%}", GOOD if rate == 1 else BAD)
    return row(stage.name, *cells, success, None if retries is None else f"{retries:.0f}")


def _pace(stage: StageResult) -> Cells:
    timing, most = stage.pace, stage.metrics["max_at_once"]
    over = most is not None and most > (stage.limit or 0)
    return row(
        stage.name,
        str(timing.latency.n),
        duration(timing.makespan),
        duration(timing.bound),
        None if timing.efficiency is None else f"{timing.efficiency:.1%}",
        timing.throughput,
        Cell(f"{'–' if most is None else f'{most:.0f}'} / {stage.limit}", BAD if over else ""),
    )


def _spread(found: Spread) -> list[str]:
    values = (found.min, found.median, found.p95, found.p99, found.max)
    return [str(found.n), *map(duration, values)]


def hand_over(judgement: Judgement) -> Section:
    """Return the gap between one job's end and the next one's start, beside a plain hop."""
    lead = (
        "From the close of a job's run to the first acceptance of the job that got its slot, "
        "counted only where that job was already waiting. The plain hop, from an activity's "
        "completion to the start of the next in the same job (its record is written in between), "
        "is what the engine costs within a job in the same run."
    )
    blocks: list[Block] = [Text("Without mocks there is no vendor's clock to measure it with.")]
    if judgement.books.mocked:
        rows = [
            row(stage.name, what, *_spread(found))
            for stage in judgement.stages
            for what, found in (
                ("hand-over (close to next image accepted)", stage.hand_over),
                ("vendor idle (last generation's end to next image accepted)", stage.vendor_idle),
                ("plain hop (activity to activity)", stage.hops),
            )
        ]
        blocks = [Table(("stage", "what", *_SPREAD), rows)]
        blocks += [Text(text) for stage in judgement.stages if (text := _ratio(stage))]
    return Section("Hand-over gap", lead, blocks)


def _ratio(stage: StageResult) -> str | None:
    hop, gap, makespan = stage.hops.median, stage.hand_over.median, stage.pace.makespan
    if not hop or gap is None or not makespan:
        return None
    share = stage.hand_over.total / makespan / (stage.limit or 1)
    return (
        f"Stage {stage.name}: the median hand-over is {gap / hop:.1f} plain hops; "
        f"all hand-overs together are {share:.1%} of the slots' time."
    )
