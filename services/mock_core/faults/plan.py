"""The armed plan: replaced only by a whole valid one; returns the faults that meet an event."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from services.mock_core.clock import Clock
from services.mock_core.faults.armed import ArmedRule
from services.mock_core.faults.fault import Fault, Where
from services.mock_core.faults.rules import Rule
from services.mock_core.faults.trace import Trace
from services.mock_core.ledger.generation import Generation

OnHit = Callable[[Fault], None]
# By rule name: whether a fault that depends on the moment applies now.
When = Callable[[str, Fault], bool]
Found = dict[str, list[tuple[ArmedRule, Fault]]]


@dataclass(frozen=True, slots=True)
class Hit:
    """A fault that happens now; its length of time is at `quantile` of its distribution."""

    fault: Fault
    quantile: float
    rule: str


class FaultPlan:
    def __init__(
        self, service: str, *, points: frozenset[Where], seed: int, clock: Clock, trace: Trace
    ) -> None:
        self.service = service
        self.seed = seed
        self.trace = trace
        self.on_hit: OnHit = lambda _fault: None
        self._points = points
        self._clock = clock
        self._rules: list[ArmedRule] = []
        self._version = 0
        self._index()

    def replace(self, rules: Sequence[Rule], seed: int | None) -> None:
        self._rules = []
        self.add(rules, seed)

    def add(self, rules: Sequence[Rule], seed: int | None) -> None:
        """Arm more rules; a rule replaces an armed one of its name."""
        if seed is not None:
            self.seed = seed
        at = {armed.name: index for index, armed in enumerate(self._rules)}
        for rule in rules:
            name = rule.name or _free_name(rule, at)
            armed = ArmedRule(rule, rule.faults(), name=name, seed=self.seed, clock=self._clock)
            if name in at:
                self._rules[at[name]] = armed
            else:
                at[name] = len(self._rules)
                self._rules.append(armed)
        self._index()

    def remove(self, name: str) -> bool:
        left = [rule for rule in self._rules if rule.name != name]
        removed = len(left) < len(self._rules)
        self._rules = left
        self._index()
        return removed

    def clear(self) -> None:
        self._rules = []
        self._index()

    def rearm(self) -> None:
        for rule in self._rules:
            rule.rearm()
        self._index()

    def rows(self) -> list[dict[str, Any]]:
        return [
            rule.row(applies=rule.fits_service(self.service, self._points)) for rule in self._rules
        ]

    @property
    def in_force(self) -> int:
        """Return how many of the rules are for this service, and not used up."""
        fitting = (r for r in self._rules if r.fits_service(self.service, self._points))
        return sum(not rule.spent for rule in fitting)

    def hits(
        self,
        where: Where,
        generation: Generation,
        *,
        status: str | None = None,
        when: When = lambda _rule, _fault: True,
    ) -> tuple[Hit, ...]:
        """Return the faults that meet this event of this generation, in the plan's order."""
        if not self._rules:
            return ()
        generation.job.count(where)
        armed = self._armed_for(generation).get(where)
        if not armed:
            return ()
        return tuple(
            self._record(rule, fault, generation, event=event, status=status)
            for rule, fault in armed
            if when(rule.name, fault) and (event := rule.strikes(fault, generation, status=status))
        )

    def _record(
        self,
        rule: ArmedRule,
        fault: Fault,
        generation: Generation,
        *,
        event: int,
        status: str | None,
    ) -> Hit:
        rule.fired += 1
        quantile = rule.quantile(generation, fault.where, event)
        self.trace.record(rule, fault, generation, event=event, quantile=quantile, status=status)
        self.on_hit(fault)
        return Hit(fault, quantile, rule.name)

    def _armed_for(self, generation: Generation) -> Found:
        """Find the rules once per generation and version of the plan, because polls must stay
        cheap."""
        if generation.rules_version != self._version:
            generation.rules = self._find(generation)
            generation.rules_version = self._version
        return generation.rules

    def _find(self, generation: Generation) -> Found:
        indices = [*self._general, *self._by_key.get(generation.job.key, ())]
        meant = tuple(i for i in sorted(indices) if self._rules[i].concerns(generation))
        found = self._known.get(meant)
        if found is None:
            found = self._known[meant] = self._by_point(meant)
        return found

    def _by_point(self, indices: tuple[int, ...]) -> Found:
        found: Found = {}
        for index in indices:
            rule = self._rules[index]
            for fault in rule.faults:
                found.setdefault(fault.where, []).append((rule, fault))
        return found

    def _index(self) -> None:
        """Index the rules, because an exact plan has thousands, each for one job."""
        self._version += 1
        # Generations that match the same rules share one answer.
        self._known: dict[tuple[int, ...], Found] = {}
        self._general: list[int] = []
        self._by_key: dict[str, list[int]] = {}
        for index, rule in enumerate(self._rules):
            if not rule.fits_service(self.service, self._points):
                continue
            key = rule.rule.match.key
            if key is None:
                self._general.append(index)
            else:
                self._by_key.setdefault(key, []).append(index)


def _free_name(rule: Rule, taken: dict[str, int]) -> str:
    effect = rule.all_effects()[0]
    stem = f"{effect.where}-{effect.do}"
    number = 1
    while (name := stem if number == 1 else f"{stem}-{number}") in taken:
        number += 1
    return name
