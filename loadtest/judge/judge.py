"""The verdict: the books against the reference model, and thresholds against every stage."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from loadtest.books.load import load
from loadtest.books.model import DELETE, ENDS, Books, StageBook, stage_name
from loadtest.books.raw import RUN, Damaged, RunFolder
from loadtest.judge import (
    callbacks,
    chances,
    conserved,
    fates,
    intervals,
    ledgers,
    processes,
    reference,
    shown,
    slot,
    waits,
    whole,
)
from loadtest.judge.clocks import Clocks, clocks
from loadtest.judge.compare import Finding
from loadtest.judge.conserved import CONDITIONED, DUPLICATED, LOST, ORPHANED, REPORTED
from loadtest.judge.pace import Spread, Timing, hand_overs, spread, timing
from loadtest.judge.threshold import DEFAULTS, Threshold, parse
from loadtest.times import duration, timestamp

SHOWN, NAMED = 20, 200
COUNTED = ("submitted", *ENDS, "refused", LOST, DUPLICATED, ORPHANED, "disagreements")
LATENCIES = ("min", "median", "p95", "p99", "max")
"""Metrics that are counts, and those of the time from planned submission to end."""


class Verdict(StrEnum):
    """PASS is what the run has shown; without a proof or with a stepped clock it has not."""

    PASS = "PASS"  # noqa: S105 - the verdict
    FAIL = "FAIL"
    NOT_DECIDED = "NOT DECIDED"
    VOID = "VOID"


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
    at_once: dict[str, intervals.Sweep]
    sampled_at_once: int | None
    pace: Timing
    hand_over: Spread
    vendor_idle: Spread
    hops: Spread
    retries: fates.RetryBook
    faults: fates.FaultBook
    callbacks: fates.CallbackBook
    history_events: Spread
    history_tasks: Spread
    history_bytes: Spread
    metrics: dict[str, float | None]

    @property
    def name(self) -> str:
        return stage_name(self.number, self.counts["planned"])


@dataclass
class Judgement:
    """Everything that the report shows."""

    conditions: list[Condition]
    undecided: list[str]
    """What the run should have shown, and did not."""
    stepped: list[str]
    """Clocks that were set in the run, and mocks that forgot theirs: nobody is blamed then."""
    stages: list[StageResult]
    findings: list[Finding]
    books: Books = field(repr=False)

    @property
    def run(self) -> dict[str, Any]:
        return self.books.run

    @property
    def passed(self) -> bool:
        return self.verdict is Verdict.PASS

    @property
    def convicted(self) -> list[Finding]:
        """Findings that fail the run whatever its conditions."""
        return [f for f in self.findings if f.rule not in (*CONDITIONED, *REPORTED)]

    @cached_property
    def verdict(self) -> Verdict:
        if self.stepped:
            return Verdict.VOID
        if self.broken or self.convicted:
            return Verdict.FAIL
        return Verdict.NOT_DECIDED if self.undecided else Verdict.PASS

    @cached_property
    def headline(self) -> str:
        """The verdict in a line."""
        if self.stepped:
            return f"VOID: {self.stepped[0]}: repeat the run"
        jobs = sum(stage.counts["submitted"] for stage in self.stages)
        good = sum(stage.counts["succeeded"] for stage in self.stages)
        most = [value for s in self.stages if (value := s.metrics["max_at_once"]) is not None]
        at_once = f", at most {max(most):.0f} at once" if most else ""
        text = f"{self.verdict}: {good} of {jobs} jobs succeeded{at_once}"
        vendors = dict.fromkeys(each.vendor for each in self.books.pipeline)
        if bare := [name for name in vendors if name not in self.books.mocks]:
            text = f"{text}; without the ledger of: {', '.join(bare)}"
        if self.passed and (loose := loosened(self.run)):
            text = f"{text}; by conditions that were loosened: {', '.join(loose)}"
        return text

    @cached_property
    def broken(self) -> list[str]:
        """The conditions that do not hold."""
        if self.stepped:
            return self.stepped
        names = {stage.number: stage.name for stage in self.stages}
        found = [] if self.stages else ["there is no stage"]
        for condition in self.conditions:
            if condition.ok is False:
                where = f" in stage {names[condition.stage]}" if condition.stage is not None else ""
                found.append(f"{condition.text}: measured {condition.measured:g}{where}")
            elif condition.ok is None and condition.asked:
                found.append(f"{condition.text}: could not be measured")
        return found

    @cached_property
    def reasons(self) -> list[str]:
        """The broken conditions, what is not decided, the first findings in full, and every other
        job by its name; of a broken success rate, the jobs that it is about."""
        # What fails the run whatever its conditions comes first.
        ordered = sorted(self.findings, key=lambda f: (f.rule in REPORTED, f.rule in CONDITIONED))
        found = self.broken + [f"not decided: {text}" for text in self.undecided]
        # Each sample of a slot may find the same.
        named = {f"{f.rule}: {f.job_id}: {f.text}": f.job_id for f in ordered}
        found += list(named)[:SHOWN]
        if rest := list(named.values())[SHOWN:]:
            found.append(f"and {len(rest)} more findings, of {_jobs(rest)}")
        ends: dict[str, list[str]] = {}
        if any(c.ok is False and c.text.startswith("success_rate") for c in self.conditions):
            for job in self.books.jobs:
                if job.status not in (None, "succeeded"):
                    ends.setdefault(str(job.status), []).append(job.job_id)
        return found + [f"{status}: {_jobs(job_ids)}" for status, job_ids in ends.items()]


def _jobs(job_ids: Iterable[str]) -> str:
    named = list(dict.fromkeys(job_ids))
    more = len(named) - NAMED
    return ", ".join(named[:NAMED]) + (f" and {more} more (results.json)" if more > 0 else "")


def loosened(run: dict[str, Any]) -> list[str]:
    """Return the conditions that stand where a default would."""
    metrics = {parse(text).metric for text in DEFAULTS}
    asked = [text for text in run["plan"]["thresholds"] if text not in DEFAULTS]
    return [text for text in asked if parse(text).metric in metrics]


def judge(folder: RunFolder) -> Judgement:
    """Judge a run from its raw records alone; raise Damaged, in one line, if they make no sense."""
    books = load(folder)
    try:
        return judge_books(books)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Damaged(f"{folder.raw} is damaged: {type(error).__name__}: {error}") from error


def judge_books(books: Books) -> Judgement:
    """Judge books that were already read."""
    thresholds, known = [], clocks(books)
    for text in books.run["plan"]["thresholds"]:
        try:
            thresholds.append(parse(text))
        except (ValueError, TypeError):
            raise Damaged(f"{RUN} is damaged: its plan has no threshold in {text!r:.100}") from None
    known.stepped += whole.forgotten(books)
    found = [] if known.stepped else list(findings(books, known))
    times = intervals.by_book(books, known.offsets)
    stages = [judge_stage(stage, books, times) for stage in books.stages]
    if not known.stepped:
        found += [finding for stage in stages for finding in _of_stage(stage)]
    for stage in stages:
        _count(stage, books, found)
    return Judgement(
        conditions=[_condition(threshold, stages) for threshold in thresholds],
        undecided=[] if known.stepped else list(whole.undecided(books, known)),
        stepped=known.stepped,
        stages=stages,
        findings=found,
        books=books,
    )


def findings(books: Books, known: Clocks) -> Iterator[Finding]:
    """Return every finding of all books."""
    # Nothing else than the histories says who should have held the slot.
    held = () if "Temporal" in books.unread else (slot,)
    for book in (whole, *held, chances, processes, waits):
        yield from book.of_run(books, known)
    yield from (Finding(rule, job_id, 0, text) for rule, job_id, text in books.strays)
    for stage in books.stages:
        yield from shown.of_stage(stage, books)
        for job in stage.jobs.values():
            yield from conserved.of_job(job, books)
            record, runs = job.record, {run.run_id for run in job.executions}
            # A job whose history chaos has deleted may have been started again since.
            gone = books.was_struck_by(job.job_id, DELETE) and record and record.run_id not in runs
            if runs and not gone and "Temporal" not in books.unread:
                model = reference.model_of(job, stage, books, known)
                for of_job in (reference.of_job, shown.of_job, ledgers.of_job, callbacks.of_job):
                    yield from of_job(model)


def _condition(threshold: Threshold, stages: list[StageResult]) -> Condition:
    """Hold a threshold against every stage; the one with the smallest margin speaks for all."""
    asked = threshold.text not in DEFAULTS
    measured = []
    for stage in stages:
        value, jobs = stage.metrics.get(threshold.metric), stage.counts["submitted"]
        named = {"jobs": jobs}
        if stage.limit is not None:
            named |= {"limit": stage.limit, "expected": min(jobs, stage.limit)}
        limit = named.get(threshold.limit) if isinstance(threshold.limit, str) else threshold.limit
        if value is not None and limit is not None:
            measured.append((threshold.margin(value, limit), value, limit, stage.number))
    if not measured:
        return Condition(threshold.text, None, None, None, None, None, asked)
    margin, value, limit, number = min(measured)
    ok = all(threshold.holds(value, limit) for _, value, limit, _ in measured)
    return Condition(threshold.text, value, limit, margin, number, ok, asked)


def _of_stage(stage: StageResult) -> Iterator[Finding]:
    """Return the findings of a stage's own measures."""
    for book, swept in stage.at_once.items():
        witness = intervals.IN_WORDS[book]
        for pair in swept.pairs:
            text = (
                f"ran beside {pair.first} for {duration(pair.end - pair.begin)} from "
                f"{timestamp(pair.begin)} by {witness}, the limit being {stage.limit}"
            )
            yield Finding(conserved.OVERLAP, pair.second, stage.number, text)
    for rule, named in (
        (conserved.CALLBACK_LOST, stage.callbacks.lost),
        (conserved.UNACCOUNTED, stage.retries.unaccounted + stage.faults.unaccounted),
    ):
        yield from (Finding(rule, job_id, stage.number, text) for job_id, text in named)


def judge_stage(
    stage: StageBook, books: Books, times: dict[str, list[intervals.Interval]]
) -> StageResult:
    """Measure one stage; what follows from the findings of the whole run is counted later."""
    jobs = list(stage.jobs.values())
    pairs = hand_overs(stage, books) if books.mocked else []
    runs = [job.execution for job in jobs if job.execution]
    status = Counter(job.status for job in jobs)
    opened = sum(n for name, n in status.items() if name is not None and name not in ENDS)
    return StageResult(
        number=stage.number,
        tag=stage.tag,
        why=stage.why,
        limit=stage.limit,
        counts={
            "planned": stage.planned_jobs,
            "submitted": stage.accepted,
            "refused": len(stage.refused),
            **{end: status[end] for end in ENDS},
            "still open": opened,
        },
        at_once={
            name: intervals.sweep(
                (each for each in own if each.begin <= stage.ended and each.end >= stage.began),
                stage.limit or 1,
            )
            for name, own in times.items()
        },
        sampled_at_once=max((len(s.holders) for s in stage.samples), default=None),
        pace=timing(stage),
        hand_over=spread(each.begin - each.end for each in pairs),
        vendor_idle=spread(each.begin - each.vendor_end for each in pairs),
        hops=spread(hop for run in runs for hop in run.hops),
        retries=fates.retry_book(jobs),
        faults=fates.fault_book(jobs),
        callbacks=fates.callback_book(jobs) if books.callbacks_known else fates.CallbackBook(),
        history_events=spread(run.events for run in runs),
        history_tasks=spread(run.workflow_tasks for run in runs),
        history_bytes=spread(run.bytes for run in runs),
        metrics={},
    )


def _count(result: StageResult, books: Books, found: list[Finding]) -> None:
    """Count what was found in a stage, and take its metrics."""
    own, counts = [finding for finding in found if finding.stage == result.number], result.counts
    for rule in (LOST, DUPLICATED, ORPHANED, conserved.CHARGED_TWICE, conserved.LEFT_OPEN):
        counts[rule] = len({f.job_id for f in own if f.rule == rule})
    other = (*CONDITIONED, *REPORTED)
    counts["disagreements"] = len({f.job_id for f in own if f.rule not in other})
    mocked = bool(books.mocks)
    # The vendors' book needs the mocks of both. The permit's signal in a history is one of our own
    # making: a build without it has none.
    most = [
        found.most
        for name, found in result.at_once.items()
        if (name != intervals.VENDORS or books.mocked)
        and (name != intervals.TEMPORAL or found.intervals)
    ]
    planned, known = counts["planned"], books.callbacks_known
    unaccounted = len(result.retries.unaccounted) + len(result.faults.unaccounted)
    result.metrics = {
        "success_rate": counts["succeeded"] / planned if planned else 0.0,
        **{name: counts[name] for name in COUNTED},
        "still_open": counts["still open"],
        "charged_twice": counts[conserved.CHARGED_TWICE] if mocked else None,
        "callbacks_lost": len(result.callbacks.lost) if known else None,
        "faults_unaccounted": unaccounted if mocked else None,
        "max_at_once": max(most) if most else None,
        "reached_at_once": min(most) if most else None,
        **{name: getattr(result.pace.latency, name) for name in LATENCIES},
        "makespan": result.pace.makespan,
        "makespan_ratio": result.pace.ratio,
        "efficiency": result.pace.efficiency,
        "retries": result.retries.retries if mocked else None,
        **{
            f"{name}_{part}": value
            for name, of in (("handover", result.hand_over), ("vendor_idle", result.vendor_idle))
            for part, value in (("p50", of.median), ("p95", of.p95), ("max", of.max))
        },
        "events_per_job_median": result.history_events.median,
        "events_per_job_max": result.history_events.max,
    }
