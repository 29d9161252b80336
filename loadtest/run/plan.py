"""What a run will do, decided and checked before anything is contacted."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from loadtest.books.model import STEPS
from loadtest.judge.pace import P95_FROM, P99_FROM
from loadtest.judge.threshold import parse, with_defaults

LADDER = (1, 5, 10, 20, 50, 100)
MOST_JOBS = 100_000
# Beyond them a number of a plan could not be written down and read again, nor be waited for.
LARGEST_SEED = 10**18
SLOWEST, FASTEST = 1e-6, 1e6
_NUMBER = r"([0-9]{1,9}\.?[0-9]*|\.[0-9]+)"
_SECONDS = re.compile(f"{_NUMBER}s?")
_RATE = re.compile(f"{_NUMBER}(?:/(s|min|h))?")
_PER = {"s": 1.0, "min": 60.0, "h": 3600.0}
# Options whose names are not those of the fields.
_OPTIONS = {"stages": "--jobs/--stages", "thresholds": "--threshold", "faults": "--fault"}


class PlanError(Exception):
    """Everything that is wrong with a plan, a line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _mistake(text: str) -> PydanticCustomError:
    """Return a mistake as pydantic reports it, which then goes on to the next field."""
    return PydanticCustomError("mistake", "{text}", {"text": text})


def _whole(text: object) -> int:
    # int() takes `1_0` for 10.
    if not re.fullmatch("-?[0-9]{1,1000}", str(text)):
        raise _mistake(f"'{text}' is not a whole number")
    return int(str(text))


def _between(least: int, most: int) -> Callable[[int], int]:
    def check(value: int) -> int:
        if not least <= value <= most:
            raise _mistake(f"{value} is not between {least} and {most}")
        return value

    return check


def _seconds(text: str | None) -> float | None:
    if not text:
        return None
    match = _SECONDS.fullmatch(text)
    if match is None or not 0 < float(match[1]) < 1e7:
        raise _mistake(f"'{text.removesuffix('s')}' is not a number of seconds above 0")
    return float(match[1])


def _rate(text: str | None) -> float | None:
    if not text:
        return None
    match = _RATE.fullmatch(text)
    value = float(match[1]) / _PER[match[2] or "s"] if match else 0.0
    if not SLOWEST <= value <= FASTEST:
        raise _mistake(f"'{text}' is no rate; write for example 2, 2/s or 90/min")
    return value


def _stages(text: str) -> list[str] | tuple[int, ...]:
    return LADDER if text == "ladder" else [part.strip() for part in text.split(",")]


def _on_video_failure(text: str) -> str:
    if text not in ("fail", "image"):
        raise _mistake(f"'{text}' is neither fail nor image")
    return text


def _pipeline(name: str, info: ValidationInfo) -> str:
    known = (info.context or {}).get("pipelines", ("genvideo",))
    if name not in known:
        raise _mistake(f"'{name}' is none of {', '.join(known)}")
    return name


def _threshold(text: str, info: ValidationInfo) -> str:
    """Return a threshold as text; one that every stage is too small for is a mistake."""
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
    """Return a rule or preset as JSON; whether the mocks take it, only they can say."""
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

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    stages: Annotated[tuple[Count, ...], BeforeValidator(_stages)]
    pipeline: Annotated[str, AfterValidator(_pipeline)] = "genvideo"
    seed: Annotated[Whole, AfterValidator(_between(-LARGEST_SEED, LARGEST_SEED))]
    rate: Rate = None
    timeout: Seconds = None
    stall: Annotated[float, BeforeValidator(_seconds)]
    concurrency: Annotated[Whole, AfterValidator(_between(1, 500))] = 16
    on_video_failure: Annotated[str, AfterValidator(_on_video_failure)] = "fail"
    thresholds: Annotated[
        tuple[Annotated[str, AfterValidator(_threshold)], ...], AfterValidator(_with_defaults)
    ] = ()
    reset: bool = False
    priorities: bool = False
    faults: tuple[Annotated[str, AfterValidator(_fault)], ...] = ()

    @property
    def jobs(self) -> int:
        return sum(self.stages)

    def offset(self, index: int) -> float:
        """Return the planned instant of a stage's job, in seconds after the stage's beginning."""
        return 0.0 if self.rate is None else index / self.rate


def planned(
    stages: str,
    *,
    mocks: Collection[str] = STEPS,
    pipelines: Sequence[str] = ("genvideo",),
    presets: Iterable[str] = (),
    faults: Iterable[str] = (),
    **options: object,
) -> Plan:
    """Return the plan of these options for a stack with these mocks.

    All options are text, and one that is None counts as not given. Raise PlanError with every
    mistake.
    """
    asked = {
        "stages": stages,
        "seed": int(datetime.now(UTC).timestamp()) % 1_000_000,
        "stall": "300" if len(mocks) == len(STEPS) else "1800",
        "faults": [*(json.dumps({"preset": name}) for name in presets), *faults],
    }
    asked |= {name: value for name, value in options.items() if value is not None}
    problems = []
    if asked["faults"] and not mocks:
        problems.append("--preset/--fault: the mocks are off, and only they have faults")
    try:
        found = Plan.model_validate(asked, context={"pipelines": pipelines})
    except ValidationError as error:
        for each in error.errors():
            field = str(each["loc"][0])
            option = _OPTIONS.get(field, "--" + field.replace("_", "-"))
            problems.append(f"{option}: {each['msg']}")
    if problems:
        raise PlanError(problems)
    return found
