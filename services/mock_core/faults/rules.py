"""The rule language as it is written, and a rule in force.

A rule decides by the seed, its name, the job and the attempt, so that order and parallelism
change nothing. What a rule's members mean together is checked in `parse`.
"""

import fnmatch
import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import re2
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, PositiveInt

from services.mock_core.clock import Clock, SeededRandom
from services.mock_core.faults.kinds import Fault, Where
from services.mock_core.ledger.generation import Generation, Job, next_serial

Pattern = Annotated[str, Field(min_length=1, max_length=2500)]
_RANGES = re.compile(r"\d+(-\d*)?(,\d+(-\d*)?)*", re.ASCII)


def _numbers(value: object) -> int | str:
    if isinstance(value, str) and len(value) <= 20_000 and _RANGES.fullmatch(value):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ValueError("must be a number from 1 on, or ranges such as '1-3,7-'")


Numbers = Annotated[int | str, PlainValidator(_numbers)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Match(Part):
    """Which jobs. Every member that is given must fit; none given means every job.

    A pattern is a glob (`*`, `?`), or an expression of RE2 after `re:`.
    """

    prompt: Pattern | None = None
    style: Pattern | None = None
    tag: Pattern | None = None
    id: Pattern | None = None
    external_id: Pattern | None = None
    key: Pattern | None = None
    nth: Numbers | None = None
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    status: Literal["processing", "succeed", "failed"] | None = None


class Often(Part):
    """How often. `first` counts the job's events at that point; `attempts` are generations."""

    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    first: PositiveInt | None = None
    events: Numbers | None = None
    attempts: Numbers | None = None
    per: Literal["job", "attempt", "event"] | None = None


class After(Part):
    """When the rule begins: so many nominal seconds after it was armed."""

    seconds: Annotated[float, Field(gt=0)] | None = None


class Until(Part):
    """When the rule ends by itself: after so many hits, nominal seconds, or at an instant.

    Hits are counted in the order in which they come; all else is the same in any order.
    """

    count: PositiveInt | None = None
    seconds: Annotated[float, Field(gt=0)] | None = None
    at: datetime | None = None


class Effect(Part):
    """What happens at one point of the life."""

    where: Where
    do: str
    with_: Annotated[dict[str, Any], Field(alias="with", default_factory=dict)]


class Rule(Part):
    """One rule: either `where` and `do` (and `with`), or `effects` that span the life of a job."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")] | None = None
    service: Literal["image", "video"] | None = None
    note: Annotated[str, Field(max_length=500)] = ""
    match: Match = Match()
    where: Where | None = None
    do: str | None = None
    with_: Annotated[dict[str, Any] | None, Field(alias="with")] = None
    effects: Annotated[tuple[Effect, ...], Field(max_length=20)] = ()
    often: Often = Often()
    after: After = After()
    until: Until = Until()

    def all_effects(self) -> tuple[Effect, ...]:
        if self.effects or self.where is None or self.do is None:
            return self.effects
        return (Effect(where=self.where, do=self.do, with_=self.with_ or {}),)


Matcher = Callable[[str], bool]
NumberTest = Callable[[int], bool]

# For one expression and its states; what needs more is refused, or matched with fewer of them.
_EXPRESSION_BYTES = 1 << 18


def text_matcher(pattern: str) -> Matcher:
    """A glob, or after `re:` an expression of RE2, whose time is linear in the text's length.

    ValueError when the expression is none.
    """
    if pattern.startswith("re:"):
        return _expression(pattern[3:])
    if not any(mark in pattern for mark in "*?["):
        return lambda text: text == pattern
    whole = re.compile(fnmatch.translate(pattern)).match
    return lambda text: whole(text) is not None


def _expression(pattern: str) -> Matcher:
    options = re2.Options()
    options.dot_nl, options.log_errors, options.max_mem = True, False, _EXPRESSION_BYTES
    try:
        found = re2.compile(pattern, options).search
    except re2.error as error:
        raise ValueError(f"not an expression of RE2: {error.args[0].decode()}") from error
    except UnicodeEncodeError as error:
        raise ValueError(f"not an expression of RE2: {error.reason}") from error
    return lambda text: found(text.encode("utf-8", "replace")) is not None


def number_test(spec: int | str) -> NumberTest:
    """`3`, `"1-3"`, `"2-"` or a list of them; ValueError for a range that runs backwards."""
    ranges = [_range(part) for part in str(spec).split(",")]
    if len(ranges) == 1:
        low, high = ranges[0]
        return lambda number: low <= number <= high
    return lambda number: any(low <= number <= high for low, high in ranges)


def _range(part: str) -> tuple[int, float]:
    first, dash, last = part.partition("-")
    low = int(first)
    high: float = low if not dash else float(last) if last else float("inf")
    if low < 1:
        raise ValueError("counting starts at 1")
    if high < low:
        raise ValueError(f"range {part!r} runs backwards")
    return low, high


def _test_of(spec: int | str | None) -> NumberTest:
    return number_test(spec) if spec is not None else lambda _: True


class ArmedRule:
    def __init__(
        self, rule: Rule, faults: Sequence[Fault], *, name: str, seed: int, clock: Clock
    ) -> None:
        self.rule = rule
        self.name = name
        self.faults = tuple(faults)
        self._share, self._hit, self._time = (
            SeededRandom(seed, name, purpose) for purpose in ("share", "hit", "time")
        )
        self._clock = clock
        self._texts = [
            (member, text_matcher(pattern))
            for member in ("prompt", "style", "tag", "id", "external_id")
            if (pattern := getattr(rule.match, member)) is not None
        ]
        self._nth = _test_of(rule.match.nth)
        self._attempts = _test_of(rule.often.attempts)
        first = rule.often.first
        self._events = _test_of(f"1-{first}" if first else rule.often.events)
        self._spans = len(self.faults) > 1
        # The job's own count serves a rule that meets each of the job's events.
        self._meets_all = rule.often.attempts is None and rule.match.status is None
        self.rearm()

    def rearm(self) -> None:
        """Start counting anew, as on the day it was armed."""
        self.serial = next_serial()
        self.fired = 0
        self._hits = 0
        self._armed_at = self._clock.now()

    @property
    def spent(self) -> bool:
        until = self.rule.until
        return (
            (until.count is not None and self._hits >= until.count)
            or (until.seconds is not None and self._age >= until.seconds)
            or (until.at is not None and time.time() >= until.at.timestamp())
        )

    @property
    def _age(self) -> float:
        return self._clock.now() - self._armed_at

    @property
    def _rests(self) -> bool:
        begins = self.rule.after.seconds
        return (begins is not None and self._age < begins) or self.spent

    def fits_service(self, service: str, points: frozenset[Where]) -> bool:
        """Whether this service has a point for it: one plan may be given to both."""
        if self.rule.service not in (None, service):
            return False
        return any(
            fault.where in points and fault.service in (None, service) for fault in self.faults
        )

    def concerns(self, generation: Generation) -> bool:
        """Whether the job itself is meant; this never changes for a generation."""
        match = self.rule.match
        if match.key is not None and generation.job.key != match.key:
            return False
        if not (self._nth(generation.job.number) and self._attempts(generation.attempt)):
            return False
        if not all(fits(getattr(generation, member) or "") for member, fits in self._texts):
            return False
        return match.share is None or self._share.number(generation.job.key) < match.share

    def strikes(self, fault: Fault, generation: Generation, *, status: str | None) -> int:
        """The number of the event that is struck, as this rule counts the job's; 0: none."""
        wanted = self.rule.match.status
        if wanted is not None and fault.where is Where.CALLBACK and status != wanted:
            return 0
        event = self._number(fault, generation.job)
        if not self._events(event):
            return 0
        if self._spans:
            return event if self._strikes_job(generation) else 0
        if self._rests or not self._happens(fault, generation, event):
            return 0
        self._hits += 1
        return event

    def _number(self, fault: Fault, job: Job) -> int:
        """How many of the job's events at this point have met the rule, with this one."""
        if self._meets_all and job.serial > self.serial:
            return (job.events or {})[fault.where]
        return job.count_met(self.serial, fault.kind)

    def _strikes_job(self, generation: Generation) -> bool:
        """One decision for the whole life, so that all its faults meet the same jobs."""
        job = generation.job
        known = (job.struck or {}).get(self.serial)
        if known is None:
            known = not self._rests and self._hit.number(job.key) < self.rule.often.probability
            job.struck = {**(job.struck or {}), self.serial: known}
            self._hits += known
        return known

    def _happens(self, fault: Fault, generation: Generation, event: int) -> bool:
        probability = self.rule.often.probability
        if probability >= 1:
            return True
        per = self.rule.often.per or (
            "attempt" if fault.where in (Where.START, Where.PROGRESS) else "event"
        )
        key = generation.job.key
        if per == "job":
            return self._hit.number(key) < probability
        if per == "attempt":
            return self._hit.number(key, generation.attempt) < probability
        return self._hit.number(key, generation.attempt, fault.where, event) < probability

    def quantile(self, generation: Generation, *parts: str | int) -> float:
        """Where in its distribution a length of time of this rule lies, for a job's attempt."""
        return self._time.number(generation.job.key, generation.attempt, *parts)

    def row(self, *, applies: bool) -> dict[str, Any]:
        shown = self.rule.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return {
            **shown,
            "name": self.name,
            "fired": self.fired,
            "spent": self.spent,
            "applies": applies,
        }
