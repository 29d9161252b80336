"""The plan in force: replaced only by a whole good one; tells which faults meet an event."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from services.mock_core.clock import Clock
from services.mock_core.faults.armed import ArmedEffect, ArmedRule
from services.mock_core.faults.kinds import Where
from services.mock_core.faults.rules import Rule
from services.mock_core.faults.trace import Trace
from services.mock_core.generation import Generation

OnHit = Callable[[str, ArmedEffect], None]


@dataclass(frozen=True, slots=True)
class Hit:
    """A fault that happens now; `chance` draws its length of time."""

    do: str
    params: Any
    chance: float
    rule: str


class FaultPlan:
    def __init__(
        self, service: str, *, places: frozenset[Where], seed: int, clock: Clock, trace: Trace
    ) -> None:
        self.service = service
        self.seed = seed
        self.trace = trace
        self.on_hit: OnHit = lambda _rule, _effect: None
        self._places = places
        self._clock = clock
        self._rules: list[ArmedRule] = []
        self._version = 0

    def replace(self, rules: Sequence[tuple[Rule, list[BaseModel]]], seed: int | None) -> None:
        self._rules = []
        self.add(rules, seed)

    def add(self, rules: Sequence[tuple[Rule, list[BaseModel]]], seed: int | None) -> None:
        """Arm more rules; one of a name that is in force takes its place."""
        if seed is not None:
            self.seed = seed
        for rule, members in rules:
            name = rule.name or self._free_name(rule)
            armed = ArmedRule(rule, members, name=name, seed=self.seed, clock=self._clock)
            places = [i for i, old in enumerate(self._rules) if old.name == name]
            if places:
                self._rules[places[0]] = armed
            else:
                self._rules.append(armed)
        self._version += 1

    def remove(self, name: str) -> bool:
        left = [rule for rule in self._rules if rule.name != name]
        removed = len(left) < len(self._rules)
        self._rules = left
        self._version += 1
        return removed

    def clear(self) -> None:
        self._rules = []
        self._version += 1

    def rearm(self) -> None:
        for rule in self._rules:
            rule.rearm()
        self._version += 1

    def rows(self) -> list[dict[str, Any]]:
        return [rule.row(applies=self._applies(rule)) for rule in self._rules]

    def hits(
        self, where: Where, generation: Generation, *, status: str | None = None
    ) -> tuple[Hit, ...]:
        """The faults that meet this event of this generation, in the plan's order."""
        if not self._rules:
            return ()
        armed = self._armed_for(generation).get(where)
        if not armed:
            return ()
        event = generation.job.count(where)
        return tuple(
            self._record(rule, effect, generation, event=event)
            for rule, effect in armed
            if rule.strikes(effect, generation, event=event, status=status)
        )

    def _record(
        self, rule: ArmedRule, effect: ArmedEffect, generation: Generation, *, event: int
    ) -> Hit:
        rule.fired += 1
        self.trace.record(rule, effect, generation, event=event)
        self.on_hit(rule.name, effect)
        chance = rule.quantile(generation, effect.where, event)
        return Hit(effect.do, effect.params, chance, rule.name)

    def _armed_for(self, generation: Generation) -> dict[str, list[tuple[ArmedRule, ArmedEffect]]]:
        """Found once per generation and version of the plan: polls must stay cheap."""
        if generation.rules_version != self._version:
            found: dict[str, list[tuple[ArmedRule, ArmedEffect]]] = {}
            for rule in self._rules:
                if self._applies(rule) and rule.concerns(generation):
                    for effect in rule.effects:
                        found.setdefault(effect.where, []).append((rule, effect))
            generation.rules = found
            generation.rules_version = self._version
        return generation.rules

    def _applies(self, rule: ArmedRule) -> bool:
        """Whether this service has a place for it: one plan may be given to both."""
        if rule.rule.service not in (None, self.service):
            return False
        return any(effect.where in self._places for effect in rule.effects)

    def _free_name(self, rule: Rule) -> str:
        effect = rule.all_effects()[0]
        stem = f"{effect.where}-{effect.do}"
        taken = {armed.name for armed in self._rules}
        number = 1
        while (name := stem if number == 1 else f"{stem}-{number}") in taken:
            number += 1
        return name
