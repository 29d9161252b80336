"""One stage judged: every number of it, and the metrics that thresholds are held against."""

from collections import Counter
from dataclasses import dataclass, field

from loadtest.books.model import ENDS, Books, StageBook, stage_name
from loadtest.judge import findings as kinds
from loadtest.judge.findings import Finding
from loadtest.judge.measures.callbacks import CallbackBook, callback_book
from loadtest.judge.measures.faults import FaultBook, fault_book
from loadtest.judge.measures.intervals import TEMPORAL, VENDORS, within
from loadtest.judge.measures.retries import RetryBook, retry_book
from loadtest.judge.measures.schedule import breakdown, schedule
from loadtest.judge.measures.stats import Spread, spread
from loadtest.judge.measures.sweep import Interval, Sweep, sweep
from loadtest.judge.measures.timing import Timing, timing
from loadtest.judge.self_checks import SelfCheck, checks_of_stage

Metrics = dict[str, float | None]


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
    metrics: Metrics

    @property
    def name(self) -> str:
        return stage_name(self.number, self.counts["planned"])


def judge_stage(
    stage: StageBook, books: Books, intervals: dict[str, list[Interval]], *, found: list[Finding]
) -> StageResult:
    """Judge one stage; `found` are the findings of the whole run."""
    jobs = list(stage.jobs.values())
    scheduled = schedule(stage) if books.mocked else None
    callbacks = callback_book(jobs) if books.mocked else CallbackBook()
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


def _metrics(result: StageResult, books: Books) -> Metrics:
    counts, latency = result.counts, result.timing.latency
    mocked = books.mocked
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
        "callbacks_lost": len(result.callbacks.lost) if mocked else None,
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
    """The most at once by each book that could speak; without mocks there is no vendors' book.

    The permit's signal in a history is one of our own making: a build without it has none.
    """
    return [
        found.most
        for name, found in result.at_once.items()
        if (name != VENDORS or books.mocked) and (name != TEMPORAL or found.intervals)
    ]
