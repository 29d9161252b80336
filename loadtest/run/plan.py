"""What a run will do, decided and checked before anything is contacted."""

import json
import re
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from loadtest.judge.stats import P95_FROM, P99_FROM
from loadtest.judge.threshold import Threshold, parse, with_defaults

LADDER = (1, 5, 10, 20, 50, 100)
MOST_JOBS = 100_000
_RATE = re.compile(r"^([0-9.]+)(?:/(s|min|h))?$")
_PER = {"s": 1.0, "min": 60.0, "h": 3600.0}


class PlanError(Exception):
    """Everything that is wrong with a plan, a line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Plan(BaseModel):
    """Stages, seed and conditions of a run; two runs of equal plans may be compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stages: tuple[int, ...]
    seed: int
    rate: float | None = None
    timeout: float | None = None
    stall: float
    concurrency: int = 16
    on_video_failure: str = "fail"
    thresholds: tuple[str, ...]
    reset: bool = False
    faults: tuple[str, ...] = ()

    @property
    def conditions(self) -> tuple[Threshold, ...]:
        return tuple(parse(text) for text in self.thresholds)

    @property
    def jobs(self) -> int:
        return sum(self.stages)

    def offset(self, index: int) -> float:
        """The planned instant of a stage's job, in seconds after the stage's beginning."""
        return 0.0 if self.rate is None else index / self.rate


def build_plan(
    *,
    stages: str,
    seed: str | None = None,
    rate: str | None = None,
    timeout: str | None = None,
    stall: str | None = None,
    thresholds: tuple[str, ...] = (),
    concurrency: str = "16",
    on_video_failure: str = "fail",
    mocked: bool = True,
    reset: bool = False,
    presets: tuple[str, ...] = (),
    faults: tuple[str, ...] = (),
) -> Plan:
    """Check all arguments at once; raises PlanError naming every mistake."""
    problems: list[str] = []
    asked = _thresholds(thresholds, problems)
    if on_video_failure not in ("fail", "image"):
        problems.append(f"--on-video-failure: '{on_video_failure}' is neither fail nor image")
    counts = _stages(stages, problems)
    pace = _rate(rate, problems)
    limit = _positive("--timeout", timeout, problems)
    still = _positive("--stall", stall, problems)
    chosen = _whole("--seed", seed, problems) if seed else None
    wide = _whole("--concurrency", concurrency, problems)
    if wide is not None and not 1 <= wide <= 500:
        problems.append(f"--concurrency: {wide} is not between 1 and 500")
    armed = _faults(presets, faults, problems, mocked=mocked)
    problems += _too_small(asked, counts)
    if problems:
        raise PlanError(problems)
    return Plan(
        stages=counts,
        seed=chosen if chosen is not None else _new_seed(),
        rate=pace,
        timeout=limit,
        stall=still or (300.0 if mocked else 1800.0),
        concurrency=wide or 16,
        on_video_failure=on_video_failure,
        thresholds=tuple(t.text for t in with_defaults(asked)),
        reset=reset,
        faults=armed,
    )


def soak_jobs(minutes: str, rate: str) -> int:
    """How many jobs come in so many minutes; raises PlanError naming every mistake."""
    problems: list[str] = []
    length, pace = _positive("--minutes", minutes, problems), _rate(rate, problems)
    if problems or length is None or pace is None:
        raise PlanError(problems)
    jobs = max(1, round(length * 60 * pace))
    if jobs > MOST_JOBS:
        raise PlanError([f"--minutes, --rate: that makes {jobs} jobs, more than {MOST_JOBS}"])
    return jobs


def _thresholds(texts: tuple[str, ...], problems: list[str]) -> tuple[Threshold, ...]:
    found = []
    for text in texts:
        try:
            found.append(parse(text))
        except ValueError as error:
            problems.append(f"--threshold: {error}")
    return tuple(found)


def _too_small(asked: tuple[Threshold, ...], counts: tuple[int, ...]) -> list[str]:
    """A percentile that no stage is large enough for would never be measured."""
    largest = max(counts, default=0)
    return [
        f"--threshold: '{threshold.text}' needs a stage of {least} jobs or more"
        for threshold in asked
        for metric, least in (("p95", P95_FROM), ("p99", P99_FROM))
        if threshold.metric == metric and 0 < largest < least
    ]


def _faults(
    presets: tuple[str, ...], faults: tuple[str, ...], problems: list[str], *, mocked: bool
) -> tuple[str, ...]:
    """Presets and rules as JSON plans; whether the mocks take them, only they can say."""
    plans = [json.dumps({"preset": name}) for name in presets]
    for text in faults:
        try:
            found = json.loads(text)
        except ValueError as error:
            problems.append(f"--fault: '{text}' is not JSON: {error}")
            continue
        if isinstance(found, dict):
            plans.append(json.dumps(found, ensure_ascii=False))
        else:
            problems.append(f"--fault: '{text}' is not an object")
    if plans and not mocked:
        problems.append("--preset/--fault: the mocks are off, and only they can misbehave")
    return tuple(plans)


def _stages(text: str, problems: list[str]) -> tuple[int, ...]:
    if text == "ladder":
        return LADDER
    counts = []
    for part in text.split(","):
        count = _whole("--jobs/--stages", part.strip(), problems)
        if count is not None and not 1 <= count <= MOST_JOBS:
            problems.append(f"--jobs/--stages: {count} is not between 1 and {MOST_JOBS}")
        elif count is not None:
            counts.append(count)
    return tuple(counts)


def _rate(text: str | None, problems: list[str]) -> float | None:
    if text is None or text == "":
        return None
    match = _RATE.match(text)
    try:
        value = float(match.group(1)) / _PER[match.group(2) or "s"] if match else 0.0
    except ValueError:
        value = 0.0
    if value <= 0:
        problems.append(f"--rate: '{text}' is no rate; write for example 2, 2/s or 90/min")
        return None
    return value


def _whole(name: str, text: str, problems: list[str]) -> int | None:
    try:
        return int(text)
    except ValueError:
        problems.append(f"{name}: '{text}' is not a whole number")
        return None


def _positive(name: str, text: str | None, problems: list[str]) -> float | None:
    if text is None or text == "":
        return None
    try:
        value = float(text.removesuffix("s"))
    except ValueError:
        value = -1.0
    if not 0 < value < 1e7:
        problems.append(f"{name}: '{text}' is not a number of seconds above 0")
        return None
    return value


def _new_seed() -> int:
    return int(datetime.now(UTC).timestamp()) % 1_000_000
