"""What a run will do, decided and checked before anything is contacted."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from loadtest.judge.pace import P95_FROM, P99_FROM
from loadtest.judge.threshold import parse, with_defaults

LADDER = (1, 5, 10, 20, 50, 100)
MOST_JOBS = 100_000
MOST_WORKERS = 64
# Beyond them a number of a plan could not be written down and read again, nor be waited for.
LARGEST_SEED = 10**18
SLOWEST, FASTEST = 1e-6, 1e6
_RATE = re.compile(r"^([0-9.]+)(?:/(s|min|h))?$")
_PER = {"s": 1.0, "min": 60.0, "h": 3600.0}
# Options whose names are not those of the fields.
_OPTIONS = {"stages": "--jobs/--stages", "thresholds": "--threshold", "faults": "--fault"}
Model = TypeVar("Model", bound=BaseModel)
A = TypeVar("A")
B = TypeVar("B")


class PlanError(Exception):
    """Everything that is wrong with a plan, a line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _mistake(text: str) -> PydanticCustomError:
    """A mistake whose line is ours alone; pydantic goes on to the next field."""
    return PydanticCustomError("mistake", "{text}", {"text": text})


def _whole(text: object) -> int:
    try:
        return int(str(text))
    except ValueError:
        raise _mistake(f"'{text}' is not a whole number") from None


def _between(least: int, most: int) -> Callable[[int], int]:
    def check(value: int) -> int:
        if not least <= value <= most:
            raise _mistake(f"{value} is not between {least} and {most}")
        return value

    return check


def _seconds(text: str | None) -> float | None:
    return _above_0(text.removesuffix("s"), "seconds") if text else None


def _above_0(text: str, unit: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1e7:
        raise _mistake(f"'{text}' is not a number of {unit} above 0")
    return value


def _rate(text: str | None) -> float | None:
    if not text:
        return None
    match = _RATE.match(text)
    try:
        value = float(match.group(1)) / _PER[match.group(2) or "s"] if match else 0.0
    except ValueError:
        value = 0.0
    if not SLOWEST <= value <= FASTEST:
        raise _mistake(f"'{text}' is no rate; write for example 2, 2/s or 90/min")
    return value


def _stages(text: str) -> list[str] | tuple[int, ...]:
    return LADDER if text == "ladder" else [part.strip() for part in text.split(",")]


def _on_video_failure(text: str) -> str:
    if text not in ("fail", "image"):
        raise _mistake(f"'{text}' is neither fail nor image")
    return text


def _threshold(text: str, info: ValidationInfo) -> str:
    """A threshold as it is written down; one that no stage is large enough for is a mistake."""
    try:
        threshold = parse(text)
    except ValueError as error:
        raise _mistake(str(error)) from None
    # Without `stages` the mistake is in them, and how large the largest is cannot be said.
    largest = max(info.data.get("stages", ()), default=0)
    least = {"p95": P95_FROM, "p99": P99_FROM}.get(threshold.metric, 0)
    if 0 < largest < least:
        raise _mistake(f"'{threshold.text}' needs a stage of {least} jobs or more")
    return threshold.text


def _with_defaults(asked: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(threshold.text for threshold in with_defaults(tuple(map(parse, asked))))


def _fault(text: str) -> str:
    """A rule or preset as JSON; whether the mocks take it, only they can say."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _mistake(f"'{text}' is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise _mistake(f"'{text}' is not an object")
    return json.dumps(found, ensure_ascii=False)


Whole = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[Whole, AfterValidator(_between(1, MOST_JOBS))]
Rate = Annotated[float | None, BeforeValidator(_rate)]
Seconds = Annotated[float | None, BeforeValidator(_seconds)]


class Plan(BaseModel):
    """Stages, seed and conditions of a run; two runs of equal plans may be compared.

    Each field reads the text of its option. `thresholds` comes behind `stages`, which it asks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stages: Annotated[tuple[Count, ...], BeforeValidator(_stages)]
    seed: Annotated[Whole, AfterValidator(_between(-LARGEST_SEED, LARGEST_SEED))]
    rate: Rate
    timeout: Seconds
    stall: Annotated[float, BeforeValidator(_seconds)]
    concurrency: Annotated[Whole, AfterValidator(_between(1, 500))]
    on_video_failure: Annotated[str, AfterValidator(_on_video_failure)]
    thresholds: Annotated[
        tuple[Annotated[str, AfterValidator(_threshold)], ...], AfterValidator(_with_defaults)
    ]
    reset: bool
    faults: tuple[Annotated[str, AfterValidator(_fault)], ...]

    @property
    def jobs(self) -> int:
        return sum(self.stages)

    def offset(self, index: int) -> float:
        """The planned instant of a stage's job, in seconds after the stage's beginning."""
        return 0.0 if self.rate is None else index / self.rate


class Options(BaseModel):
    """What is asked of a run, as text: whoever asks makes one of these, and of it a plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stages: str
    seed: str | None = None
    rate: str | None = None
    timeout: str | None = None
    stall: str | None = None
    concurrency: str = "16"
    on_video_failure: str = "fail"
    thresholds: tuple[str, ...] = ()
    reset: bool = False
    presets: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    def plan(self, *, mocked: bool = True) -> Plan:
        """The plan for a stack with mocks, or without; raises PlanError naming every mistake."""
        presets = tuple(json.dumps({"preset": name}) for name in self.presets)
        asked = self.model_dump(exclude={"presets"}) | {
            "seed": self.seed or int(datetime.now(UTC).timestamp()) % 1_000_000,
            "stall": self.stall or ("300" if mocked else "1800"),
            "faults": presets + self.faults,
        }
        problems = []
        if asked["faults"] and not mocked:
            problems.append("--preset/--fault: the mocks are off, and only they can misbehave")
        return _read(Plan, asked, problems)


class _Control(BaseModel):
    """How many worker processes the wrong build has."""

    workers: Annotated[Whole, AfterValidator(_between(1, MOST_WORKERS))]


def control_workers(text: str) -> int:
    """The workers of the control; raises PlanError."""
    return _read(_Control, {"workers": text}, []).workers


def both(one: Callable[[], A], other: Callable[[], B]) -> tuple[A, B]:
    """What the two make; raises PlanError naming every mistake that either finds."""
    problems: dict[str, None] = {}
    made: list[Any] = []
    for step in (one, other):
        try:
            made.append(step())
        except PlanError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise PlanError([*problems])
    return made[0], made[1]


def _read(kind: type[Model], asked: dict[str, Any], problems: list[str]) -> Model:
    """What is asked as a model; raises PlanError with these problems and a line per mistake."""
    try:
        found = kind.model_validate(asked)
    except ValidationError as error:
        raise PlanError(
            problems + [_line(each["loc"][0], each["msg"]) for each in error.errors()]
        ) from None
    if problems:
        raise PlanError(problems)
    return found


def _line(field: int | str, mistake: str) -> str:
    return f"{_OPTIONS.get(str(field), '--' + str(field).replace('_', '-'))}: {mistake}"
