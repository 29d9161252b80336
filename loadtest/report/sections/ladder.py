"""The ladder, a row per stage, and nothing claimed that n is too small for."""

from itertools import pairwise

from loadtest.judge import findings as kinds
from loadtest.judge.judge import Judgement
from loadtest.judge.measures.timing import FORMULA
from loadtest.judge.stage import StageResult
from loadtest.report.blocks import BAD, GOOD, Block, Cell, Section, Table, Text, row
from loadtest.times import duration

_COUNTS = (
    "submitted",
    "succeeded",
    "degraded",
    "failed",
    "cancelled",
    kinds.LOST,
    kinds.DUPLICATED,
)


def section(judgement: Judgement) -> Section:
    """How the system behaves from the smallest stage to the largest."""
    stages = judgement.stages
    lead = (
        "What each stage came to. Times run from the planned instant of a job's submission to its "
        "end; p95 is shown from 20 jobs on, p99 from 100."
    )
    blocks: list[Block] = [
        Table(
            ("stage", *(f"#{name}" for name in _COUNTS), "#success", "#retries"),
            [_outcome(stage) for stage in stages],
            "Outcomes",
        ),
        Table(
            (
                "stage",
                "#n",
                "#makespan",
                "#ideal",
                "#efficiency",
                "#jobs/s",
                "#most at once / limit",
            ),
            [_speed(stage) for stage in stages],
            "Pace",
        ),
        Table(
            ("stage", "#n", "#min", "#median", "#p95", "#p99", "#max"),
            [_times(stage) for stage in stages],
            "Time from planned submission to end",
        ),
        Text(f"Efficiency = bound / makespan, and {FORMULA}. {_bend(stages)}"),
    ]
    return Section("Ladder", lead, blocks)


def _outcome(stage: StageResult) -> tuple[Cell, ...]:
    counts = stage.counts
    cells: list[Cell | str | float | None] = [stage.name]
    for name in _COUNTS:
        bad = counts[name] and name in ("failed", kinds.LOST, kinds.DUPLICATED)
        cells.append(Cell(str(counts[name]), BAD if bad else ""))
    rate = stage.metrics["success_rate"] or 0.0
    cells.append(Cell(f"{rate:.1%}", GOOD if rate == 1 else BAD))
    retries = stage.metrics["retries"]
    cells.append("–" if retries is None else f"{retries:.0f}")
    return row(*cells)


def _speed(stage: StageResult) -> tuple[Cell, ...]:
    timing, most = stage.timing, stage.metrics["max_at_once"]
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


def _times(stage: StageResult) -> tuple[Cell, ...]:
    times = stage.timing.latency
    return row(
        stage.name,
        str(times.n),
        duration(times.min),
        duration(times.median),
        duration(times.p95),
        duration(times.p99),
        duration(times.max),
    )


def _bend(stages: list[StageResult]) -> str:
    """Where efficiency falls by more than a tenth from one stage to the next."""
    known = [(s.name, s.timing.efficiency) for s in stages if s.timing.efficiency]
    if len(known) < 2:
        return "One stage shows no bend."
    for (_, before), (name, after) in pairwise(known):
        if after < before * 0.9:
            return f"Efficiency bends at stage {name}: from {before:.1%} to {after:.1%}."
    return "Efficiency does not fall by more than a tenth between any two stages."
