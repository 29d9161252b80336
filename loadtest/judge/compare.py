"""Two runs beside each other: numbers always, a verdict only for one plan on one machine."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from loadtest.books.model import Books, JobFacts, StageBook
from loadtest.judge.judge import Judgement
from loadtest.judge.measures.schedule import schedule
from loadtest.judge.measures.stats import percentile
from loadtest.judge.measures.timing import service

RESAMPLES, FEWEST = 2000, 5
NOISE_SHARE, NOISE_SECONDS = 0.05, 0.010
WITHIN, SLOWER, FASTER, MORE, FEWER, FEW = (
    "within noise",
    "slower",
    "faster",
    "more",
    "fewer",
    "too few to tell",
)
SECONDS, EVENTS = "s", "events"
_PLAN = ("stages", "rate", "on_video_failure", "faults")
_MACHINE = ("cores", "memory_gib", "system")


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quantity in both runs: medians, the change from A to B, and its 95 % interval."""

    stage: str
    name: str
    unit: str
    n_a: int
    n_b: int
    a: float
    b: float
    low: float
    high: float
    verdict: str

    @property
    def change(self) -> float:
        return self.b - self.a


@dataclass(frozen=True, slots=True)
class Comparison:
    """B against A; `why_not` says why there is no verdict."""

    a: str
    b: str
    why_not: list[str]
    quantities: list[Quantity]

    @property
    def worse(self) -> list[Quantity]:
        return [q for q in self.quantities if q.verdict in (SLOWER, MORE)]

    @property
    def verdict(self) -> str:
        if self.why_not:
            return "numbers only"
        changed = [q for q in self.quantities if q.verdict not in (WITHIN, FEW)]
        if not changed:
            return WITHIN
        return "; ".join(f"{q.name} {q.verdict} (stage {q.stage})" for q in changed[:5])


def compare(a: Judgement, b: Judgement) -> Comparison:
    """Compare stage by stage, by the samples of single jobs and gaps."""
    return Comparison(
        a=str(a.run.get("run_id")),
        b=str(b.run.get("run_id")),
        why_not=_why_not(a.run, b.run),
        quantities=list(_quantities(a.books, b.books)),
    )


def _why_not(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    # Without faults the seed chooses nothing but the prompts' words.
    keys = (*_PLAN, "seed") if _rules(a) or _rules(b) else _PLAN
    reasons = [f"another plan: {key}" for key in keys if _of(a, "plan", key) != _of(b, "plan", key)]
    reasons += [
        f"another machine: {key}"
        for key in _MACHINE
        if _of(a, "environment", key) != _of(b, "environment", key)
    ]
    if _rules(a) != _rules(b):
        reasons.append("other faults were armed")
    if a.get("mocks") != b.get("mocks"):
        reasons.append("mocks on against mocks off")
    reasons += [f"run {run.get('run_id')} is partial" for run in (a, b) if run.get("why") != "done"]
    return reasons


def _of(run: dict[str, Any], part: str, key: str) -> Any:
    return (run.get(part) or {}).get(key)


def _rules(run: dict[str, Any]) -> list[Any]:
    """The armed rules without what they count."""
    bodies = [body for body in (run.get("faults") or {}).values() if isinstance(body, dict)]
    rules = [rule for body in bodies for rule in body.get("rules") or [] if isinstance(rule, dict)]
    counted = {"fired", "spent"}
    return [{key: rule[key] for key in rule if key not in counted} for rule in rules]


def _quantities(a: Books, b: Books) -> Iterator[Quantity]:
    for stage_a, stage_b in zip(a.stages, b.stages, strict=False):
        if stage_a.planned_jobs != stage_b.planned_jobs:
            continue
        in_b = dict(_samples(stage_b, b))
        for key, values_a in _samples(stage_a, a):
            values_b = in_b.get(key, [])
            if values_a and values_b:
                yield _quantity(stage_a.name, key, values_a, values_b=values_b)


def _samples(stage: StageBook, books: Books) -> Iterator[tuple[tuple[str, str], list[float]]]:
    jobs = list(stage.jobs.values())
    if books.mocked:
        scheduled = schedule(stage)
        yield ("vendors' service time", SECONDS), [service(job) for job in jobs if job.generations]
        yield ("hand-over", SECONDS), [gap.hand_over for gap in scheduled.gaps] if scheduled else []
    yield ("time on the slot", SECONDS), _known(map(_on_slot, jobs))
    if books.run["plan"].get("rate") is not None:
        yield ("time to end", SECONDS), _known(job.latency for job in jobs)
    runs = [job.execution for job in jobs if job.execution]
    yield ("plain step", SECONDS), [hop for run in runs for hop in run.hops]
    yield ("history events", EVENTS), [float(run.events) for run in runs]


def _known(values: Any) -> list[float]:
    return [value for value in values if value is not None]


def _on_slot(job: JobFacts) -> float | None:
    started = job.api[0].started if job.api else None
    return job.finished - started if job.finished is not None and started is not None else None


def _quantity(
    stage: str, key: tuple[str, str], values_a: list[float], *, values_b: list[float]
) -> Quantity:
    ordered_a, ordered_b = sorted(values_a), sorted(values_b)
    a, b = percentile(ordered_a, 50), percentile(ordered_b, 50)
    low, high = interval(ordered_a, ordered_b)
    name, unit = key
    few = min(len(ordered_a), len(ordered_b)) < FEWEST
    verdict = FEW if few else _verdict(unit, a, b, low=low, high=high)
    return Quantity(
        stage,
        name,
        unit,
        len(ordered_a),
        len(ordered_b),
        a=a,
        b=b,
        low=low,
        high=high,
        verdict=verdict,
    )


def _verdict(unit: str, a: float, b: float, *, low: float, high: float) -> str:
    floor = max(NOISE_SHARE * abs(a), NOISE_SECONDS if unit == SECONDS else 1.0)
    if low <= 0 <= high or abs(b - a) <= floor:
        return WITHIN
    if unit == SECONDS:
        return SLOWER if b > a else FASTER
    return MORE if b > a else FEWER


def interval(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """A bootstrap's 95 % interval of the difference of medians; both samples sorted.

    The median of n draws with replacement is the value at a place that is Beta((n+1)/2,
    (n+1)/2) distributed, so each resample costs one draw instead of n.
    """
    pick = random.Random(1)  # noqa: S311 - a fixed seed: the same runs give the same interval
    changes = sorted(_median(b, pick) - _median(a, pick) for _ in range(RESAMPLES))
    return percentile(changes, 2.5), percentile(changes, 97.5)


def _median(ordered: Sequence[float], pick: random.Random) -> float:
    shape = (len(ordered) + 1) / 2
    return ordered[min(len(ordered) - 1, int(len(ordered) * pick.betavariate(shape, shape)))]
