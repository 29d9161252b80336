"""What a job leaves in history, and whether its history replays with today's code."""

from typing import Any

from loadtest.judge.judge import Judgement
from loadtest.judge.stage import StageResult
from loadtest.report.blocks import BAD, GOOD, INFO, Block, Notice, Section, Table, row


def section(judgement: Judgement) -> Section:
    """Events, workflow tasks and bytes per job, and what the replay of the histories gave."""
    lead = "What one job leaves in Temporal: a history that grows without need costs every replay."
    rows = [line for stage in judgement.stages for line in _rows(stage)]
    heads = ("stage", "per job", "#n", "#min", "#median", "#max")
    found: list[Block] = [_replayed(judgement), Table(heads, rows)]
    return Section("Determinism and history", lead, found)


def _replayed(judgement: Judgement) -> Notice:
    check = next(each for each in judgement.checks if "replays" in each.name)
    tone = {True: GOOD, False: BAD, None: INFO}[check.ok]
    return Notice(tone, f"{check.name[0].upper()}{check.name[1:]}: {check.text}.")


def _rows(stage: StageResult) -> list[Any]:
    return [
        row(
            stage.name,
            name,
            str(found.n),
            *(
                None if value is None else f"{value:,.0f}"
                for value in (found.min, found.median, found.max)
            ),
        )
        for name, found in (
            ("events", stage.history_events),
            ("workflow tasks", stage.history_tasks),
            ("bytes", stage.history_bytes),
        )
    ]
