"""What each process used, and whether anything grows."""

from loadtest.judge.judge import Judgement
from loadtest.judge.measures.processes import GROWS, LEVEL, SHORTEST, Usage
from loadtest.report.blocks import GOOD, INFO, WARN, Block, Cell, Notice, Section, Table, row
from loadtest.report.charts import memory
from loadtest.report.drift import drift


def section(judgement: Judgement) -> Section:
    """CPU, memory and descriptors per process, and drift over the run."""
    lead = (
        "As each process tells in its /metrics, and the runner of itself. Growth compares the last "
        f"third of the samples with the one before; a run below {SHORTEST:.0f} s can't tell."
    )
    if not judgement.usage:
        blocks: list[Block] = [Notice(INFO, "No process showed its metrics to the runner.")]
    else:
        heads = (
            "process", "#samples", "#cores, mean", "#cores, most", "#MB first", "#MB most",
            "#MB last", "memory", "#descriptors, most", "descriptors", "#restarts",
        )  # fmt: skip
        blocks = [Table(heads, [_row(usage) for usage in judgement.usage])]
        blocks += memory(judgement.books.processes)
    return Section("Processes", lead, blocks + drift(judgement))


def _row(usage: Usage) -> tuple[Cell, ...]:
    return row(
        usage.name,
        str(usage.samples),
        None if usage.cores is None else f"{usage.cores:.3f}",
        None if usage.cores_most is None else f"{usage.cores_most:.2f}",
        *(f"{value / 1e6:.0f}" for value in (usage.rss_first, usage.rss_most, usage.rss_last)),
        _trend(usage.rss_trend),
        f"{usage.fds_most:.0f}",
        _trend(usage.fds_trend),
        str(usage.restarts),
    )


def _trend(trend: str) -> Cell:
    return Cell(trend, {GROWS: WARN, LEVEL: GOOD}.get(trend, ""))
