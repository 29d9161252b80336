"""The verdict: thresholds held against every stage, the worst stage shown; no jobs, no pass."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from loadtest.books.load import load
from loadtest.books.model import ENDS, Books, StageBook, stage_name
from loadtest.books.raw import RUN, Damaged, RunFolder
from loadtest.judge import findings as kinds
from loadtest.judge import rules
from loadtest.judge.fates import (
    CallbackBook,
    FaultBook,
    RetryBook,
    callback_book,
    fault_book,
    retry_book,
)
from loadtest.judge.findings import (
    CALLBACK_LOST,
    ORPHANED,
    OVERLAP,
    UNACCOUNTED,
    Finding,
    findings,
)
from loadtest.judge.intervals import TEMPORAL, VENDORS, Interval, Sweep, by_book, sweep, within
from loadtest.judge.pace import Spread, Timing, breakdown, schedule, spread, timing
from loadtest.judge.self_checks import SelfCheck, checks_of_run, checks_of_stage
from loadtest.judge.threshold import DEFAULTS, Threshold, parse
from loadtest.times import duration, timestamp

SHOWN, NAMED = 20, 200


@dataclass(frozen=True, slots=True)
class Condition:
    """A threshold with its worst measurement; `ok` is None where nothing was measured."""

    text: str
    measured: float | None
    limit: float | None
    margin: float | None
    stage: int | None
    ok: bool | None
    asked: bool


@dataclass(slots=True)
class StageResult:
    """Everything measured in one stage."""

    number: int
    tag: str
    why: str
    limit: int | None
    counts: dict[str, int]
    at_once: dict[str, Sweep]
    sampled_at_once: int | None
    timing: Timing = field(metadata={"written as": "pace"})
    hand_over: Spread
    gaps: list[float]
    vendor_idle: Spread
    hops: Spread
    parts: dict[str, float] | None
    retries: RetryBook
    faults: FaultBook
    callbacks: CallbackBook
    history_events: Spread
    history_tasks: Spread
    history_bytes: Spread
    checks: list[SelfCheck]
    metrics: dict[str, float | None]

    @property
    def name(self) -> str:
        return stage_name(self.number, self.counts["planned"])


@dataclass(slots=True)
class Judgement:
    """Everything that the report shows."""

    passed: bool
    headline: str
    reasons: list[str]
    run: dict[str, Any]
    conditions: list[Condition]
    checks: list[SelfCheck]
    stages: list[StageResult]
    findings: list[Finding]
    books: Books = field(repr=False)


class Conviction(NamedTuple):
    """One thing that can't be so: of which job, by which rule, in words."""

    job: str
    rule: str
    message: str


def convictions(path: Path) -> list[Conviction]:
    """Everything in a run's folder that can't be so."""
    found = judge(RunFolder.open(path)).findings
    return [Conviction(each.job_id, each.kind, each.text) for each in found]


def judge(folder: RunFolder) -> Judgement:
    """Judge a run from its raw records alone."""
    return judge_books(load(folder))


def judge_books(books: Books) -> Judgement:
    """Judge books that were already read."""
    thresholds = list(_thresholds(books))
    found = findings(books)
    intervals = by_book(books)
    stages = [judge_stage(stage, books, intervals, found=found) for stage in books.stages]
    found += [finding for stage in stages for finding in _of_stage(stage)]
    found += (bent := rules.broken(books))
    checks = [*checks_of_run(books), *rules.checks(bent)]
    conditions = [_condition(threshold, stages) for threshold in thresholds]
    reasons = _reasons(conditions, checks, stages=stages)
    passed = not reasons
    return Judgement(
        passed=passed,
        headline=_headline(passed, books, stages),
        reasons=reasons + _named(found) + _unsuccessful(conditions, books),
        run=books.run,
        conditions=conditions,
        checks=checks,
        stages=stages,
        findings=found,
        books=books,
    )


def _thresholds(books: Books) -> Iterator[Threshold]:
    for text in books.run["plan"]["thresholds"]:
        try:
            yield parse(text)
        except (ValueError, TypeError):
            raise Damaged(f"{RUN} is damaged: its plan has no threshold in {text!r:.100}") from None


def _condition(threshold: Threshold, stages: list[StageResult]) -> Condition:
    """The stage with the smallest margin speaks for all."""
    asked = threshold.text not in DEFAULTS
    measured = []
    for stage in stages:
        value, limit = stage.metrics.get(threshold.metric), _limit(threshold, stage)
        if value is not None and limit is not None:
            measured.append((threshold.margin(value, limit), value, limit, stage.number))
    if not measured:
        return Condition(threshold.text, None, None, None, None, None, asked)
    margin, value, limit, number = min(measured)
    ok = all(threshold.holds(value, limit) for _, value, limit, _ in measured)
    return Condition(threshold.text, value, limit, margin, number, ok, asked)


def _limit(threshold: Threshold, stage: StageResult) -> float | None:
    if threshold.symbolic and stage.limit is None:
        return None
    limit, jobs = stage.limit or 0, stage.counts["submitted"]
    return threshold.limit_in({"limit": limit, "jobs": jobs, "expected": min(jobs, limit)})


def _reasons(
    conditions: list[Condition], checks: list[SelfCheck], *, stages: list[StageResult]
) -> list[str]:
    """Why a run fails; a threshold that was asked for and never measured is not met."""
    reasons, names = [], {stage.number: stage.name for stage in stages}
    for condition in conditions:
        if condition.ok is False:
            where = f" in stage {names[condition.stage]}" if condition.stage is not None else ""
            reasons.append(f"{condition.text}: measured {condition.measured:g}{where}")
        elif condition.ok is None and condition.asked:
            reasons.append(f"{condition.text}: could not be measured")
    reasons += [
        f"check failed: {check.name}: {check.text}" for check in checks if check.ok is False
    ]
    for stage in stages:
        for check in stage.checks:
            if check.ok is False:
                reasons.append(f"check failed in stage {stage.name}: {check.name}: {check.text}")
    return reasons


def _of_stage(stage: StageResult) -> Iterator[Finding]:
    """What a stage's own reckoning found, by name like the rest."""
    for book, swept in stage.at_once.items():
        if (pair := swept.violation) is not None:
            text = (
                f"ran beside {pair.first} for {duration(pair.end - pair.begin)} from "
                f"{timestamp(pair.begin)} by the {book}' clock, the limit being {stage.limit}"
            )
            yield Finding(OVERLAP, pair.second, stage.number, text)
    for job_id, text in stage.callbacks.lost:
        yield Finding(CALLBACK_LOST, job_id, stage.number, text)
    for job_id, text in stage.callbacks.unsent:
        yield Finding(ORPHANED, job_id, stage.number, text)
    for job_id, text in stage.retries.unaccounted + stage.faults.unaccounted:
        yield Finding(UNACCOUNTED, job_id, stage.number, text)


def _named(found: list[Finding]) -> list[str]:
    """The first findings in full, and every other job by its name."""
    # What the rules found is said nowhere else so plainly: it comes first.
    ordered = sorted(found, key=lambda finding: finding.kind not in rules.KINDS)
    shown = [f"{finding.kind}: {finding.job_id}: {finding.text}" for finding in ordered[:SHOWN]]
    rest = ordered[SHOWN:]
    if rest:
        shown.append(f"and {len(rest)} more findings, of {_jobs(f.job_id for f in rest)}")
    return shown


def _unsuccessful(conditions: list[Condition], books: Books) -> list[str]:
    """The jobs that a broken success rate is about."""
    if all(c.ok is not False or not c.text.startswith("success_rate") for c in conditions):
        return []
    ends: dict[str, list[str]] = {}
    for job in books.jobs:
        if job.status != "succeeded":
            ends.setdefault(str(job.status), []).append(job.job_id)
    return [f"{status}: {_jobs(job_ids)}" for status, job_ids in ends.items()]


def _jobs(job_ids: Iterable[str]) -> str:
    named = list(dict.fromkeys(job_ids))
    more = len(named) - NAMED
    return ", ".join(named[:NAMED]) + (f" and {more} more (results.json)" if more > 0 else "")


def _headline(passed: bool, books: Books, stages: list[StageResult]) -> str:
    jobs = sum(stage.counts["submitted"] for stage in stages)
    good = sum(stage.counts["succeeded"] for stage in stages)
    most = [value for stage in stages if (value := stage.metrics["max_at_once"]) is not None]
    at_once = f", at most {max(most):.0f} at once" if most else ""
    return f"{'PASS' if passed else 'FAIL'}: {good} of {jobs} jobs succeeded{at_once}"


def judge_stage(
    stage: StageBook, books: Books, intervals: dict[str, list[Interval]], *, found: list[Finding]
) -> StageResult:
    """Judge one stage; `found` are the findings of the whole run."""
    jobs = list(stage.jobs.values())
    scheduled = schedule(stage) if books.mocked else None
    callbacks = callback_book(jobs) if "video" in books.mocks else CallbackBook()
    runs = [job.execution for job in jobs if job.execution]
    result = StageResult(
        number=stage.number,
        tag=stage.tag,
        why=stage.why,
        limit=stage.limit,
        counts=_counts(stage, found),
        at_once={name: sweep(within(i, stage), stage.limit or 1) for name, i in intervals.items()},
        sampled_at_once=max((len(s.holders) for s in stage.samples), default=None),
        timing=timing(stage),
        hand_over=spread(gap.hand_over for gap in scheduled.gaps) if scheduled else Spread(0),
        gaps=[gap.hand_over for gap in scheduled.gaps] if scheduled else [],
        vendor_idle=spread(gap.vendor_idle for gap in scheduled.gaps) if scheduled else Spread(0),
        hops=spread(hop for run in runs for hop in run.hops),
        parts=breakdown(scheduled) if scheduled else None,
        retries=retry_book(jobs),
        faults=fault_book(jobs),
        callbacks=callbacks,
        history_events=spread(run.events for run in runs),
        history_tasks=spread(run.workflow_tasks for run in runs),
        history_bytes=spread(run.bytes for run in runs),
        checks=list(checks_of_stage(stage, callbacks, scheduled)),
        metrics={},
    )
    result.metrics = _metrics(result, books)
    return result


def _counts(stage: StageBook, found: list[Finding]) -> dict[str, int]:
    status = Counter(job.status for job in stage.jobs.values())
    affected: dict[str, set[str]] = {}
    for finding in found:
        if finding.stage == stage.number:
            affected.setdefault(finding.kind, set()).add(finding.job_id)
    return {
        "planned": stage.planned_jobs,
        "submitted": stage.accepted,
        "refused": len(stage.refused),
        **{end: status[end] for end in ENDS},
        "still open": sum(n for name, n in status.items() if name is not None and name not in ENDS),
        **{
            kind: len(affected.get(kind, ()))
            for kind in (
                kinds.LOST,
                kinds.DUPLICATED,
                kinds.ORPHANED,
                kinds.CHARGED_TWICE,
                kinds.CONTRADICTION,
                kinds.LEFT_OPEN,
            )
        },
    }


def _metrics(result: StageResult, books: Books) -> dict[str, float | None]:
    counts, latency = result.counts, result.timing.latency
    mocked, told = bool(books.mocks), "video" in books.mocks
    most = _most(result, books)
    planned = counts["planned"]
    return {
        "success_rate": counts["succeeded"] / planned if planned else 0.0,
        "submitted": counts["submitted"],
        **{end: counts[end] for end in ENDS},
        "still_open": counts["still open"],
        "refused": counts["refused"],
        "lost": counts[kinds.LOST],
        "duplicated": counts[kinds.DUPLICATED],
        "orphaned": counts[kinds.ORPHANED],
        "charged_twice": counts[kinds.CHARGED_TWICE] if mocked else None,
        "disagreements": counts[kinds.CONTRADICTION],
        "callbacks_lost": len(result.callbacks.lost) if told else None,
        "faults_unaccounted": (
            len(result.retries.unaccounted) + len(result.faults.unaccounted) if mocked else None
        ),
        "self_checks_failed": sum(check.ok is False for check in result.checks),
        "max_at_once": max(most) if most else None,
        "reached_at_once": min(most) if most else None,
        "min": latency.min,
        "median": latency.median,
        "p95": latency.p95,
        "p99": latency.p99,
        "max": latency.max,
        "makespan": result.timing.makespan,
        "makespan_ratio": result.timing.ratio,
        "efficiency": result.timing.efficiency,
        "retries": result.retries.retries if mocked else None,
        "handover_p50": result.hand_over.median,
        "handover_p95": result.hand_over.p95,
        "handover_max": result.hand_over.max,
        "vendor_idle_p50": result.vendor_idle.median,
        "vendor_idle_p95": result.vendor_idle.p95,
        "vendor_idle_max": result.vendor_idle.max,
        "events_per_job_median": result.history_events.median,
        "events_per_job_max": result.history_events.max,
    }


def _most(result: StageResult, books: Books) -> list[int]:
    """The most at once by each book that could speak; the vendors' takes the mocks of both.

    The permit's signal in a history is one of our own making: a build without it has none.
    """
    return [
        found.most
        for name, found in result.at_once.items()
        if (name != VENDORS or books.mocked) and (name != TEMPORAL or found.intervals)
    ]
