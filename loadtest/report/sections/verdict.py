"""The verdict with each condition's measured value, and what the run did not try."""

import json
from typing import Any

from loadtest.books.model import Books
from loadtest.judge.compare import RUN
from loadtest.judge.fields import unheld
from loadtest.judge.judge import Condition, Judgement
from loadtest.judge.threshold import METRICS, parse
from loadtest.judge.tried import BROKEN, NOT_TRIED, PARTLY, SHOWN, SILENT, claims, rules, tried
from loadtest.report.page import (
    BAD,
    GOOD,
    WARN,
    Block,
    Cell,
    Cells,
    Code,
    Notice,
    Section,
    Table,
    Text,
    Tiles,
    own,
    row,
)
from loadtest.report.sections.jobs import failures, lanes, workflow_link
from loadtest.times import duration, timestamp

MOST_FINDINGS, MOST_NAMED, LONGEST = 100, 10, 400
_SECONDS = ("min", "median", "p95", "p99", "max", "makespan")
_TONES = {SHOWN: GOOD, PARTLY: WARN, NOT_TRIED: WARN, BROKEN: BAD}


def verdict(judgement: Judgement) -> Section:
    """Return one screen: the verdict, each failure with both sides of it, the claims, the lanes."""
    tone = GOOD if judgement.passed else BAD
    blocks: list[Block] = [
        Notice(tone, judgement.headline),
        _tiles(judgement),
        *(Notice(WARN, text) for text in _banners(judgement)),
        *(Notice(BAD, reason) for reason in judgement.broken),
        *(Notice(WARN, f"not decided: {text}") for text in judgement.undecided),
        *([] if judgement.passed else failures(judgement, MOST_NAMED, columns=5)),
        *_findings(judgement),
        Table(
            ("claim of the README", "in this run", "what was seen"),
            [
                row(each.text, Cell(each.state, _TONES[each.state]), each.why)
                for each in claims(judgement)
            ],
        ),
        *([drawn] if (drawn := lanes(judgement)) else []),
        Text("To repeat this run:"),
        Code(str(judgement.run.get("command"))),
    ]
    lead = "The books of the run against Temporal's histories, the vendors' ledgers and the plan."
    return Section("Verdict", lead, blocks)


def _findings(judgement: Judgement) -> list[Block]:
    rows = [
        row(
            f.rule,
            own(f.job_id, href=workflow_link(judgement.run, f.job_id) if f.job_id != RUN else ""),
            f.text,
            own(f.expected or None),
            own(f.found or None),
            own(json.dumps(f.row, ensure_ascii=False)[:LONGEST] if f.row else None),
        )
        for f in judgement.findings[:MOST_FINDINGS]
    ]
    if not rows:
        return []
    heads = ("rule", "job", "in words", "should have been", "was", "the book's row")
    more = len(judgement.findings) - len(rows)
    blocks: list[Block] = [Table(heads, rows, "Findings")]
    return blocks + ([Text(f"{more} more are in results.json.")] if more else [])


def conditions(judgement: Judgement) -> Section:
    """Return every condition with its worst measurement, and the run's setting."""
    heads = ("condition", "verdict", "#measured", "#limit", "#margin", "stage", "what it is")
    nothing = [row(own(f"{file}: {field}"), why) for file, field, why in unheld()]
    blocks: list[Block] = [
        Table(heads, [_condition(judgement, each) for each in judgement.conditions]),
        Table(("of this run", "value"), _facts(judgement.books)),
        Table(("field", "why nothing verifies it"), nothing, "Unverified fields"),
    ]
    lead = (
        "Each condition is held against every stage; the stage with the smallest margin is shown."
    )
    return Section("Conditions", lead, blocks)


def _tiles(judgement: Judgement) -> Tiles:
    if not judgement.stages:
        return Tiles((("jobs", "0", BAD),))
    stage = max(judgement.stages, key=lambda each: each.counts["planned"])
    jobs, succeeded = stage.counts["planned"], stage.counts["succeeded"]
    most, limit = stage.metrics["max_at_once"], stage.limit
    safe = most is not None and most <= (limit or 0)
    at_once = f"{'–' if most is None else f'{most:.0f}'} / {'–' if limit is None else limit}"
    efficiency, found = stage.pace.efficiency, judgement.findings
    # Some findings are only reported: what a fault has left behind at a vendor.
    tone = GOOD if not found else WARN if judgement.passed else BAD
    return Tiles(
        (
            ("verdict", judgement.verdict, GOOD if judgement.passed else BAD),
            ("largest stage", f"{jobs} jobs", ""),
            ("succeeded", str(succeeded), GOOD if succeeded == jobs else BAD),
            ("most at once / limit", at_once, GOOD if safe else BAD),
            ("makespan", duration(stage.pace.makespan), ""),
            ("efficiency", "–" if efficiency is None else f"{efficiency:.1%}", ""),
            ("hand-over, median", duration(stage.hand_over.median), ""),
            ("findings", str(len(found)), tone),
        )
    )


def _banners(judgement: Judgement) -> list[str]:
    run, found = judgement.run, []
    mocks = list(run.get("mocks") or ())
    if mocks:
        found.append(
            "Mocks were on: timings are simulated. What is proven is order, not speed of a vendor."
        )
    if mocks and not judgement.books.mocked:
        found.append(
            f"Only the {mocks[0]} service was a mock: the other vendor's own book is absent, so"
            " nothing is said here about its charges, nor about what ran at once by both clocks."
        )
    elif not mocks:
        found.append(
            "Mocks were off: the vendors' own books are absent, so nothing is said here about "
            "charges, callbacks sent, or what ran at once by the vendors' clocks."
        )
    if other := _other_code(run):
        found.append(f"Services ran other code than that of the checkout: {', '.join(other)}.")
    if run.get("why") != "done":
        found.append(f"This report is partial: {run.get('why')}.")
    away = next(each for each in tried(judgement) if each.name == SILENT)
    if away.tried and not judgement.passed:
        found.append(f"Not all services answered each time: {away.text}.")
    return found


def _condition(judgement: Judgement, condition: Condition) -> Cells:
    metric = parse(condition.text).metric
    if condition.ok is None:
        result = Cell("not measured", BAD if condition.asked else WARN)
    else:
        result = Cell("holds", GOOD) if condition.ok else Cell("broken", BAD)
    numbers = (_value(metric, n) for n in (condition.measured, condition.limit, condition.margin))
    stage = next((each.name for each in judgement.stages if each.number == condition.stage), None)
    return row(condition.text, result, *numbers, stage, METRICS[metric])


def _value(metric: str, number: float | None) -> str | float | None:
    in_seconds = metric in _SECONDS or metric.startswith(("handover", "vendor_idle"))
    return number if number is None or not in_seconds else duration(number)


def _facts(books: Books) -> list[Cells]:
    run = books.run
    plan, where = run["plan"], run.get("environment") or {}
    arrivals = (
        "all at once" if plan.get("rate") is None else f"open loop, {plan['rate']:g} a second"
    )
    machine = (
        f"{where.get('cores')} cores, {where.get('memory_gib')} GiB, {where.get('system')}, "
        f"load {where.get('load_before')} before the run"
    )
    return [
        row("run", own(str(run.get("run_id")))),
        row("began", timestamp(run.get("began_at"))),
        row("ended", timestamp(run.get("ended_at"))),
        row("stages", ", ".join(map(str, plan["stages"])) + f" jobs, {arrivals}"),
        row("seed", own(str(plan["seed"]))),
        row("code of the checkout", own(str(where.get("code")))),
        row("code of the services", _code(run)),
        row("Temporal", f"server {where.get('server')}, SDK {where.get('sdk')}"),
        row("Python", str(where.get("python"))),
        row("machine", machine),
        row("limit at the beginning", str(run.get("limit"))),
        row("seal (root of SHA256SUMS)", books.seal.root),
    ]


def _other_code(run: dict[str, Any]) -> list[str]:
    code = run.get("code") or {}
    ours = code.get("checkout", {})
    return [
        name
        for name, packages in code.get("services", {}).items()
        if any(digest != ours.get(package, digest) for package, digest in packages.items())
    ]


def _code(run: dict[str, Any]) -> Cell | str:
    services = (run.get("code") or {}).get("services") or {"each": {}}
    if silent := [name for name, packages in services.items() if not packages]:
        return Cell(f"not known of {', '.join(silent)}", WARN)
    if other := _other_code(run):
        return Cell(f"not that of the checkout: {', '.join(other)}", WARN)
    return "that of the checkout"


def not_tried(judgement: Judgement) -> Section:
    lead = (
        "A run shows what it came across, and no more. Everything here is read from the books; "
        "what was only asked for does not count."
    )
    known = tried(judgement)
    left = [each.name for each in known if each.tried is False]
    answers = {True: Cell("yes", GOOD), False: Cell("no", WARN), None: Cell("–")}
    blocks: list[Block] = [
        Text(f"Not tried by this run: {', '.join(left)}." if left else "All of it was tried."),
        Table(
            ("could be tried", "tried", "what was seen", "by the book"),
            [row(each.name, answers[each.tried], each.text, each.by) for each in known],
            "What was tried",
        ),
    ]
    if found := rules(judgement):
        heads = ("service", "rule", "fault", "armed at the beginning", "#met jobs of this run")
        rows = [
            row(
                rule.service,
                own(rule.name),
                own(rule.effects),
                "yes" if rule.armed else "no",
                Cell(str(rule.fired), "" if rule.fired else WARN),
            )
            for rule in found
        ]
        blocks.append(Table(heads, rows, "Fault rules"))
    return Section("What this run did not try", lead, blocks)
