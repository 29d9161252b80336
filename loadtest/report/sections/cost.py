"""Section 10: what a job costs in history, and whether its history replays with today's code."""

from typing import Any

from loadtest.judge.judge import Judgement
from loadtest.judge.stage import StageResult
from loadtest.report.blocks import BAD, GOOD, INFO, Block, Notice, Section, Table, row

REPLAY_HINT = (
    "The histories were not replayed here; they lie in histories/ for whoever has the code."
)


def section(judgement: Judgement, replay: dict[str, Any] | None) -> Section:
    """Events, workflow tasks and bytes per job; the replay's result where there is one."""
    lead = "What one job leaves in Temporal: a history that grows without need costs every replay."
    rows = [line for stage in judgement.stages for line in _rows(stage)]
    blocks: list[Block] = [_replayed(replay)]
    blocks.append(Table(("#stage", "per job", "#n", "#min", "#median", "#max"), rows))
    return Section(10, "Determinism and cost", lead, blocks)


def _replayed(replay: dict[str, Any] | None) -> Notice:
    if replay is None:
        return Notice(INFO, REPLAY_HINT)
    failures = replay.get("failures") or {}
    if failures:
        named = "; ".join(f"{job}: {text}" for job, text in list(failures.items())[:5])
        return Notice(
            BAD, f"{len(failures)} of {replay.get('replayed')} histories do not replay: {named}"
        )
    return Notice(GOOD, f"All {replay.get('replayed')} histories replay with the current code.")


def _rows(stage: StageResult) -> list[Any]:
    return [
        row(
            str(stage.counts["planned"]),
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
