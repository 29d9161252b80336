"""The verdict first, with each condition's measured value beside its limit."""

import json
from typing import Any

from loadtest.judge.judge import Condition, Judgement
from loadtest.judge.measures.threshold import DEFAULTS, METRICS, parse
from loadtest.judge.self_checks import SelfCheck
from loadtest.judge.stage import StageResult
from loadtest.report.blocks import (
    BAD,
    GOOD,
    WARN,
    Block,
    Cell,
    Code,
    Links,
    Notice,
    Section,
    Table,
    Text,
    Tiles,
    own,
    row,
)
from loadtest.report.links import files
from loadtest.times import duration, timestamp

_SECONDS = ("min", "median", "p95", "p99", "max", "makespan")


def section(judgement: Judgement) -> Section:
    """The verdict, its conditions, how to repeat it, and on what it was made."""
    run = judgement.run
    blocks: list[Block] = [
        Notice(GOOD if judgement.passed else BAD, judgement.headline),
        _tiles(judgement),
    ]
    blocks += [Notice(WARN, text) for text in _banners(run)]
    blocks += [Notice(BAD, reason) for reason in judgement.reasons] if not judgement.passed else []
    blocks += [
        Table(
            ("condition", "verdict", "#measured", "#limit", "#margin", "stage", "what it is"),
            _conditions(judgement),
        ),
        Text("To repeat this run:"),
        Code(str(run.get("command"))),
        Table(("of this run", "value"), _facts(run, judgement.books.seal.root)),
        Text("Files of this run, beside this page:"),
        Links(files(judgement.books.seal.root)),
        Table(
            ("check of the whole run", "result", "what was seen"),
            [row(check.name, _result(check), check.text) for check in judgement.checks],
        ),
        *_stage_checks(judgement),
    ]
    lead = (
        "Each condition is held against every stage; the stage with the smallest margin is shown."
    )
    return Section("Verdict", lead, blocks)


def _tiles(judgement: Judgement) -> Tiles:
    """The largest stage in a line."""
    if not judgement.stages:
        return Tiles((("jobs", "0", BAD),))
    stage = max(judgement.stages, key=_jobs)
    most, efficiency = stage.metrics["max_at_once"], stage.timing.efficiency
    safe = most is not None and most <= (stage.limit or 0)
    at_once = f"{_whole(most)} / {_whole(stage.limit)}"
    succeeded = stage.counts["succeeded"]
    return Tiles(
        (
            ("verdict", "PASS" if judgement.passed else "FAIL", GOOD if judgement.passed else BAD),
            ("largest stage", f"{_jobs(stage)} jobs", ""),
            ("succeeded", str(succeeded), GOOD if succeeded == _jobs(stage) else BAD),
            ("most at once / limit", at_once, GOOD if safe else BAD),
            ("makespan", duration(stage.timing.makespan), ""),
            ("efficiency", "–" if efficiency is None else f"{efficiency:.1%}", ""),
            ("hand-over, median", duration(stage.hand_over.median), ""),
            ("findings", str(len(judgement.findings)), _told(judgement)),
        )
    )


def _told(judgement: Judgement) -> str:
    """Some findings are only told: what a fault has left behind at a vendor."""
    if not judgement.findings:
        return GOOD
    return WARN if judgement.passed else BAD


def _whole(number: float | None) -> str:
    return "–" if number is None else f"{number:.0f}"


def _banners(run: dict[str, Any]) -> list[str]:
    found = []
    if run.get("mocks"):
        found.append(
            "Mocks were on: timings are simulated. What is proven is order, not speed of a vendor."
        )
    else:
        found.append(
            "Mocks were off: the vendors' own books are absent, so nothing is said here about "
            "charges, callbacks sent, or what ran at once by the vendors' clocks."
        )
    held = set(run["plan"]["thresholds"])
    if loosened := [text for text in DEFAULTS if text not in held]:
        found.append(f"Not held against these defaults, by the plan: {', '.join(loosened)}.")
    if run.get("why") != "done":
        found.append(f"This report is partial: {run.get('why')}.")
    return found


def _conditions(judgement: Judgement) -> list[tuple[Cell, ...]]:
    return [
        row(
            condition.text,
            _verdict(condition),
            value(condition, condition.measured),
            value(condition, condition.limit),
            value(condition, condition.margin),
            None if condition.stage is None else judgement.books.stage_name(condition.stage),
            METRICS[parse(condition.text).metric],
        )
        for condition in judgement.conditions
    ]


def value(condition: Condition, number: float | None) -> str:
    """A number in the unit of its metric."""
    if number is None:
        return "–"
    metric = parse(condition.text).metric
    if metric in _SECONDS or metric.startswith(("handover", "vendor_idle")):
        return duration(number)
    return f"{number:.4g}"


def _verdict(condition: Condition) -> Cell:
    if condition.ok is None:
        return Cell("not measured", BAD if condition.asked else WARN)
    return Cell("holds", GOOD) if condition.ok else Cell("broken", BAD)


def _facts(run: dict[str, Any], seal: str) -> list[tuple[Cell, ...]]:
    plan, where = run["plan"], run.get("environment") or {}
    arrivals = (
        "all at once" if plan.get("rate") is None else f"open loop, {plan['rate']:g} a second"
    )
    return [
        row("run", own(str(run.get("run_id")))),
        row("began", timestamp(run.get("began_at"))),
        row("ended", timestamp(run.get("ended_at"))),
        row("stages", ", ".join(map(str, plan["stages"])) + f" jobs, {arrivals}"),
        row("seed", own(str(plan["seed"]))),
        row("code", own(str(where.get("code")))),
        row("Temporal", f"server {where.get('server')}, SDK {where.get('sdk')}"),
        row("Python", str(where.get("python"))),
        row("machine", _machine(where)),
        row("faults armed", _faults(run.get("faults") or {})),
        row("limit at the beginning", str(run.get("limit"))),
        row("seal (root of SHA256SUMS)", seal),
    ]


def _machine(where: dict[str, Any]) -> str:
    return (
        f"{where.get('cores')} cores, {where.get('memory_gib')} GiB, {where.get('system')}, "
        f"load {where.get('load_before')} before the run"
    )


def _faults(armed: dict[str, Any]) -> Cell | str:
    """The armed rules by name and effect; what does not concern a service is left out."""
    found = []
    for service, body in armed.items():
        rules = body.get("rules") if isinstance(body, dict) else None
        found += [
            f"{service}: {rule.get('name')} ({_effects(rule)})"
            for rule in (rules if isinstance(rules, list) else [])
            if isinstance(rule, dict) and rule.get("applies", True)
        ]
    return own("; ".join(found)) if found else "none"


def _effects(rule: dict[str, Any]) -> str:
    effects = rule.get("effects") or [rule]
    often = json.dumps(rule["often"]) if rule.get("often") else "always"
    return ", ".join(f"{e.get('where')}.{e.get('do')}" for e in effects) + f", {often}"


def _stage_checks(judgement: Judgement) -> list[Block]:
    """The checks of the report's own data: a row each, a column per stage."""
    stages = judgement.stages
    if not stages:
        return []
    heads = ("check of the report's own data", *(f"stage {s.name}" for s in stages))
    names = [check.name for check in stages[0].checks]
    results = {(s.number, check.name): check for s in stages for check in s.checks}
    rows = [
        row(name, *(_result(results.get((stage.number, name))) for stage in stages))
        for name in names
    ]
    broken = [
        Notice(BAD, f"Stage {s.name}: {check.name}: {check.text}")
        for s in stages
        for check in s.checks
        if check.ok is False
    ]
    return [Table(heads, rows), *broken]


def _jobs(stage: StageResult) -> int:
    return stage.counts["planned"]


def _result(check: SelfCheck | None) -> Cell:
    if check is None or check.ok is None:
        return Cell("not measured", WARN)
    return Cell("holds", GOOD) if check.ok else Cell("broken", BAD)
