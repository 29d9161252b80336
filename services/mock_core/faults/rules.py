"""The rule language; a plan is taken whole, or refused whole with all its mistakes."""

import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from services.mock_core.faults.kinds import KINDS, Fault, Where
from services.mock_core.faults.presets import PRESETS
from services.mock_core.problems import Problem
from services.mock_core.settings import Part
from shared.http.mistakes import MOST, member_of, sentence_of

# The services that a rule may name, beside one that a mock of another vendor adds.
SERVICES = "image,video"
MAX_RULES = 1000
_PLAN_MEMBERS = {"rules", "preset", "seed"}


class PlanRequest(NamedTuple):
    rules: list["Rule"]
    seed: int | None


def read_plan(body: Mapping[str, Any], services: str = SERVICES) -> PlanRequest:
    """Read rules, one rule, a preset, or rules on top of it, each with a seed; raise a Problem
    (422) with all mistakes.

    `services`: those that a rule may name, with commas between them.
    """
    found: list[dict[str, str]] = []

    def wrong(rule: str, member: str, message: str) -> None:
        found.append({"rule": rule, "field": member, "message": message})

    raw: list[Any] = [{name: value for name, value in body.items() if name != "seed"}]
    if {"rules", "preset"} & set(body) or set(body) == {"seed"}:
        preset, listed = body.get("preset"), body.get("rules", [])
        for unknown in sorted(set(body) - _PLAN_MEMBERS)[:MOST]:
            wrong("", member_of((unknown,)), "There is no such field.")
        raw = []
        if isinstance(preset, str) and preset in PRESETS:
            raw += [{"name": preset, **rule} for rule in PRESETS[preset].rules]
        elif "preset" in body:
            wrong("", "preset", "It must be one of " + ", ".join(PRESETS))
        if isinstance(listed, list) and len(listed) <= MAX_RULES:
            raw += listed
        else:
            wrong("", "rules", f"It must be a list of at most {MAX_RULES}.")
    if not isinstance(body.get("seed"), int | None) or isinstance(body.get("seed"), bool):
        wrong("", "seed", "It must be a whole number.")
    rules: list[Rule] = []
    names: set[str] = set()
    for index, item in enumerate(raw):
        if len(found) >= MOST:
            break
        name = item.get("name") if isinstance(item, dict) else None
        label = name if name and isinstance(name, str) else f"#{index + 1}"
        try:
            rules.append(Rule.model_validate(item, context={"services": services}))
        except ValidationError as error:
            for each in error.errors():
                wrong(label, member_of(each["loc"]), sentence_of(each))
        if label in names:
            wrong(label, "name", "Another rule of this plan has it.")
        names.add(label)
    if found:
        found = found[:MOST]
        reported = (
            ": ".join(filter(None, (rule and f"rule {rule}", field, message)))
            for rule, field, message in (it.values() for it in found)
        )
        raise Problem(422, "bad_fault_plan", detail=" ".join(reported), errors=found)
    return PlanRequest(rules, body.get("seed"))


def _numbers(value: object) -> object:
    if not isinstance(value, int | str) or isinstance(value, bool):
        raise ValueError(_NUMBERS)
    number_test(value)
    return value


def _service(name: str, info: ValidationInfo) -> str:
    known = (info.context or {}).get("services", SERVICES).split(",")
    if name not in known:
        raise ValueError(f"It must be one of {', '.join(known)}.")
    return name


def _do(do: str, info: ValidationInfo) -> str:
    where = info.data.get("where")
    known = dict.fromkeys(kind.do for kind in KINDS.values() if where in (None, kind.where))
    if do not in known:
        place = f" at {where}" if where else ""
        raise ValueError(f"There is no {do!r}{place}: one of {', '.join(known)}.")
    return do


def _with(members: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    kind = KINDS.get(f"{info.data.get('where')}.{info.data.get('do')}")
    if kind is not None:
        kind.members.model_validate(members)
    return members


Numbers = Annotated[int | str, PlainValidator(_numbers)]
ServiceName = Annotated[str, AfterValidator(_service)]
Pattern = Annotated[str, Field(min_length=1, max_length=2500)]
Do = Annotated[str, AfterValidator(_do)]
With = Annotated[dict[str, Any], AfterValidator(_with)]


class Match(Part):
    """The jobs of a rule. Every given member must fit; none given means every job.

    A pattern is a glob (`*`, `?`).
    """

    prompt: Pattern | None = None
    style: Pattern | None = None
    id: Pattern | None = None
    external_id: Pattern | None = None
    nth: Numbers | None = None
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    status: Literal["processing", "succeed", "failed"] | None = None


class Often(Part):
    """How often a rule applies. `first` counts the job's events at that point; `attempts` are
    generations."""

    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    first: PositiveInt | None = None
    events: Numbers | None = None
    attempts: Numbers | None = None
    per: Literal["job", "attempt", "event"] | None = None


class Until(Part):
    """When the rule ends: after a number of hits, or nominal seconds after it was armed.

    Hits are counted in order of arrival; everything else is the same in any order.
    """

    count: PositiveInt | None = None
    seconds: Annotated[float, Field(gt=0)] | None = None


class Rule(Part):
    """What happens (`where`, `do`, `with`) to which jobs, how often, and when."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")] | None = None
    service: ServiceName | None = None
    note: Annotated[str, Field(max_length=500)] = ""
    match: Match = Match()
    where: Annotated[Where, Field(strict=False)]
    do: Do
    with_: With = Field({}, alias="with")
    often: Often = Often()
    until: Until = Until()

    def fault(self) -> Fault:
        kind = KINDS[f"{self.where}.{self.do}"]
        return Fault(kind, kind.members.model_validate(self.with_))

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        """Raise a ValueError that names every contradiction."""
        wrong = [
            InitErrorDetails(
                type=PydanticCustomError("rule", "{problem}", {"problem": problem}),
                loc=tuple(member.split(".")),
                input=None,
            )
            for member, problem in self._contradictions()
        ]
        if wrong:
            raise ValidationError.from_exception_data("Rule", wrong)
        return self

    def _contradictions(self) -> Iterator[tuple[str, str]]:
        kind, calls_back = self.fault().kind, self.where is Where.CALLBACK
        if self.service == "image" and calls_back:
            yield "where", "The image service sends no callbacks."
        if self.service and kind.service not in (None, self.service):
            yield "do", f"The {self.service} service has no {kind.name}."
        if self.match.status is not None and not calls_back:
            yield "match.status", "Only callbacks have it."
        if self.often.first is not None and self.often.events is not None:
            yield "often", "first and events contradict each other."


def text_matcher(pattern: str) -> Callable[[str], bool]:
    """Return a matcher for a glob, in linear time."""
    whole = re.compile(fnmatch.translate(pattern)).match
    return lambda text: whole(text) is not None


_SPAN = re.compile(r"(\d+)(-?)(\d*)", re.ASCII)
_MOST_SPANS = 10_000
_NUMBERS = "It must be a number from 1 on, or ranges such as '1-3,7-'."


def number_test(spec: int | str | None) -> Callable[[int], bool]:
    """Return a test for `3`, `"1-3"`, `"2-"` or a list of them, or for any number; raise
    ValueError for anything else."""
    if spec is None:
        return lambda _: True
    ranges: list[tuple[int, float]] = []
    for part in str(spec).split(","):
        span = _SPAN.fullmatch(part)
        if span is None or len(ranges) >= _MOST_SPANS:
            raise ValueError(_NUMBERS)
        low = int(span[1])
        high = float(span[3] or "inf") if span[2] else low
        if not 1 <= low <= high:
            raise ValueError(f"{_NUMBERS} {span[0]!r} begins at 0 or runs backwards.")
        ranges.append((low, high))
    return lambda number: any(low <= number <= high for low, high in ranges)
