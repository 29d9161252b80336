"""Reads what is sent to `/admin/faults`: rules, one rule alone, a preset, or rules on top of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.mock_core.faults.parse import Mistakes, ParsedRule, parse_rules
from services.mock_core.faults.presets import PRESETS
from services.mock_core.problems import Problem

_PLAN_MEMBERS = {"rules", "preset", "seed"}


@dataclass(frozen=True, slots=True)
class PlanRequest:
    rules: list[ParsedRule]
    seed: int | None


def read_plan(body: Mapping[str, Any]) -> PlanRequest:
    """The whole plan, or a problem (422) that names every mistake in it."""
    mistakes = Mistakes()
    raw: list[Any] = []
    seed = None
    if _PLAN_MEMBERS & set(body):
        for unknown in sorted(set(body) - _PLAN_MEMBERS):
            mistakes.add("", unknown, "not a member of a plan")
        raw = [*_preset(body, mistakes), *_listed(body, mistakes)]
        seed = _seed(body, mistakes)
    else:
        raw = [body]
    rules = parse_rules(raw, mistakes)
    if mistakes.found:
        raise Problem(
            422,
            "bad_fault_plan",
            detail="; ".join(
                f"rule {item['rule'] or '-'}: {item['field']}: {item['message']}"
                for item in mistakes.found
            ),
            errors=mistakes.found,
        )
    return PlanRequest(rules, seed)


def _preset(body: Mapping[str, Any], mistakes: Mistakes) -> list[Any]:
    if "preset" not in body:
        return []
    preset = PRESETS.get(body["preset"]) if isinstance(body["preset"], str) else None
    if preset is None:
        mistakes.add("", "preset", "one of " + ", ".join(PRESETS))
        return []
    return list(preset.rules)


def _listed(body: Mapping[str, Any], mistakes: Mistakes) -> list[Any]:
    rules = body.get("rules", [])
    if not isinstance(rules, list):
        mistakes.add("", "rules", "must be a list")
        return []
    return rules


def _seed(body: Mapping[str, Any], mistakes: Mistakes) -> int | None:
    seed = body.get("seed")
    if seed is None or (isinstance(seed, int) and not isinstance(seed, bool)):
        return seed
    mistakes.add("", "seed", "must be a whole number")
    return None
