"""The armed plan: the faults that meet an event, and their trace.

A rule decides by the seed, its name, the job and the attempt, so order and parallelism change
nothing.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from services.mock_core.clock import Clock, DelaySpec, SeededRandom, rfc3339
from services.mock_core.faults.kinds import Fault, Hit, Where
from services.mock_core.faults.rules import Rule, number_test, text_matcher
from services.mock_core.ledger import Generation

_serials = count(1)
_TEXTS = ("prompt", "style", "id", "external_id")


class ArmedRule:
    def __init__(self, rule: Rule, *, name: str, seed: int, clock: Clock) -> None:
        self.rule, self.name, self.seed = rule, name, seed
        self.fault = rule.fault()
        self._share, self._hit, self._time = (
            SeededRandom(seed, name, purpose) for purpose in ("share", "hit", "time")
        )
        self._clock = clock
        match, often = rule.match, rule.often
        self._texts = [
            (member, text_matcher(pattern))
            for member in _TEXTS
            if (pattern := getattr(match, member)) is not None
        ]
        self._nth = number_test(match.nth)
        self._attempts = number_test(often.attempts)
        self._events = number_test(f"1-{often.first}" if often.first else often.events)
        is_early = self.fault.kind.where in (Where.START, Where.PROGRESS)
        self._per = often.per or ("attempt" if is_early else "event")
        self.rearm()

    def rearm(self) -> None:
        """Restart the counts, as when it was armed."""
        self.serial = next(_serials)
        self.fired = self._hits = 0
        self._armed_at = self._clock.now()

    @property
    def spent(self) -> bool:
        until, age = self.rule.until, self._clock.now() - self._armed_at
        return (until.count is not None and self._hits >= until.count) or (
            until.seconds is not None and age >= until.seconds
        )

    def fits_service(self, service: str, points: frozenset[Where]) -> bool:
        """True if this service has a point for the rule, because one plan may go to both mocks."""
        kind = self.fault.kind
        return (
            kind.where in points
            and self.rule.service in (None, service)
            and kind.service in (None, service)
        )

    def concerns(self, generation: Generation) -> bool:
        """True if the rule matches the job; this never changes for a generation."""
        match, job = self.rule.match, generation.job
        return (
            self._nth(job.number)
            and self._attempts(generation.attempt)
            and all(fits(getattr(generation, member) or "") for member, fits in self._texts)
            and (match.share is None or self._share.number(job.key) < match.share)
        )

    def count(self, generation: Generation, status: str | None) -> int:
        """Return this event's number among those of the job that match the rule; 0 if it does not
        match."""
        if self.fault.kind.where is Where.CALLBACK and self.rule.match.status not in (None, status):
            return 0
        return generation.job.count(self.serial)

    def strikes(self, generation: Generation, event: int) -> bool:
        if not self._events(event):
            return False
        key = (generation.job.key, generation.attempt, self.fault.kind.where, event)
        parts = key[: {"job": 1, "attempt": 2, "event": 4}[self._per]]
        probability = self.rule.often.probability
        is_drawn = probability >= 1 or self._hit.number(*parts) < probability
        happens = is_drawn and not self.spent
        self._hits += happens
        return happens

    def hit(self, generation: Generation, event: int) -> Hit:
        self.fired += 1
        fault = self.fault
        key, attempt = generation.job.key, generation.attempt
        quantile = self._time.number(key, attempt, fault.kind.where, event)
        drawn = {
            name: value.at(quantile) if isinstance(value, DelaySpec) else value
            for name, value in fault.members
        }
        return Hit(fault, quantile, self.name, drawn)


@dataclass(frozen=True, slots=True)
class Injected:
    """One injected fault; `event` as its rule counts the job's events at that point."""

    seq: int
    at: float
    rule: ArmedRule
    hit: Hit
    generation: Generation
    event: int
    status: str | None

    def row(self) -> dict[str, Any]:
        generation, kind, given = self.generation, self.hit.fault.kind, self.hit.fault.members
        defaults = {name: it.default for name, it in kind.members.model_fields.items()}
        return {
            "seq": self.seq,
            "at": rfc3339(self.at),
            "rule": self.rule.name,
            "where": kind.where,
            "do": kind.do,
            # What differs from the defaults, with each length of time as drawn.
            "with": {name: self.hit[name] for name, it in given if it != defaults[name]},
            "status": self.status,
            "job_key": generation.job.key,
            "attempt": generation.attempt,
            "event": self.event,
            "job_id": generation.id,
            "external_id": generation.external_id,
            "prompt": generation.prompt[:80],
        }


Found = dict[str, list[ArmedRule]]


class FaultPlan:
    """The armed rules, replaced only by a whole valid plan, and the last `keep` injected faults."""

    def __init__(
        self, service: str, *, points: frozenset[Where], seed: int, clock: Clock, keep: int
    ) -> None:
        self.service = service
        self.seed = seed
        self.injected = 0
        self._trace: deque[Injected] = deque(maxlen=keep)
        self.on_hit: Callable[[Fault], None] = lambda _fault: None
        self._points = points
        self._clock = clock
        self.version = 0
        self.clear()

    def clear(self) -> None:
        self._rules: list[ArmedRule] = []
        self._index()

    def replace(self, rules: Sequence[Rule], seed: int | None) -> None:
        self._rules = []
        self.add(rules, seed)

    def add(self, rules: Sequence[Rule], seed: int | None) -> list[str]:
        """Arm more rules, and return their names; a rule replaces an armed one of its name."""
        self.seed = self.seed if seed is None else seed
        named = {armed.name: armed for armed in self._rules}
        added = []
        for rule in rules:
            name = rule.name or _free_name(rule, named)
            named[name] = ArmedRule(rule, name=name, seed=self.seed, clock=self._clock)
            added.append(name)
        self._rules = list(named.values())
        self._index()
        return added

    def remove(self, name: str) -> bool:
        left = [rule for rule in self._rules if rule.name != name]
        removed = len(left) < len(self._rules)
        self._rules = left
        self._index()
        return removed

    def reset(self) -> None:
        """Restart the counts of all rules, and forget what was injected."""
        for rule in self._rules:
            rule.rearm()
        self._index()
        self._trace.clear()
        self.injected = 0

    def rows(self) -> list[dict[str, Any]]:
        return [
            {
                **rule.rule.model_dump(mode="json", by_alias=True, exclude_defaults=True),
                "name": rule.name,
                "seed": rule.seed,
                "fired": rule.fired,
                "spent": rule.spent,
                "applies": rule in self._fitting,
            }
            for rule in self._rules
        ]

    @property
    def in_force(self) -> int:
        """Return how many of the rules are for this service, and not used up."""
        return sum(not rule.spent for rule in self._fitting)

    def hits(
        self,
        where: Where,
        generation: Generation,
        *,
        status: str | None = None,
    ) -> tuple[Hit, ...]:
        """Return the faults that meet this event of this generation, in the plan's order."""
        found: list[Hit] = []
        for rule in self._armed_for(generation).get(where, ()):
            event = rule.count(generation, status)
            if event and rule.strikes(generation, event):
                hit = rule.hit(generation, event)
                self.injected += 1
                noted = (self.injected, time.time(), rule, hit, generation)
                self._trace.append(Injected(*noted, event=event, status=status))
                self.on_hit(rule.fault)
                found.append(hit)
        return tuple(found)

    def trace(self) -> list[dict[str, Any]]:
        return [row.row() for row in self._trace]

    def _armed_for(self, generation: Generation) -> Found:
        """Find the rules once per generation and version of the plan, because polls must stay
        cheap."""
        if generation.rules_version != self.version:
            found: Found = {}
            for rule in self._fitting:
                if rule.concerns(generation):
                    found.setdefault(rule.fault.kind.where, []).append(rule)
            generation.rules, generation.rules_version = found, self.version
        return generation.rules

    def _index(self) -> None:
        self.version += 1
        self._fitting = [
            rule for rule in self._rules if rule.fits_service(self.service, self._points)
        ]


def _free_name(rule: Rule, taken: dict[str, ArmedRule]) -> str:
    kind = rule.fault().kind
    stem = f"{kind.where}-{kind.do}"
    number = 1
    while (name := stem if number == 1 else f"{stem}-{number}") in taken:
        number += 1
    return name
