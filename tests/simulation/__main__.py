"""`python -m tests.simulation`: new seeds for some minutes, or one seed told and shrunk."""

import argparse
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime

from compose.stack.output import INTERRUPTED, USAGE, complain
from tests.simulation.plan import Kind, Plan, Rule, drawn
from tests.simulation.product import product_in_virtual_time
from tests.simulation.shrink import shrunk, told
from tests.simulation.simulation import Outcome, simulate

SHOWN = 5


def main(arguments: list[str]) -> int:
    """0 when no rule was broken, else 1; 2 where something is named that there is not."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--histories", type=int, help="so many, whatever time it takes")
    parser.add_argument("--only", action="store_true", help="this seed alone, told and shrunk")
    parser.add_argument("--rule", choices=[rule.name for rule in Rule], help="shrink to this one")
    parser.add_argument("--kinds", default="", help="strikes to draw from: reset,…")
    given = parser.parse_args(arguments)
    kinds = tuple(filter(None, given.kinds.split(",")))
    if wrong := [f"KINDS={name}" for name in kinds if name not in set(Kind)]:
        complain(f"wrong settings: {'; '.join(wrong)}: not one of {', '.join(Kind)}")
        return USAGE
    first = (
        int(datetime.now(UTC).strftime("%y%m%d%H%M")) * 1000 if given.seed is None else given.seed
    )
    with product_in_virtual_time():
        if given.only:
            return _one(_plan(first, kinds), Rule[given.rule] if given.rule else None)
        return _many(first, given.minutes * 60, given.histories, kinds)


def _plan(seed: int, kinds: tuple[str, ...]) -> Plan:
    """The plan of a seed, with strikes of these kinds alone."""
    plan = drawn(seed)
    return drawn(seed, replace(plan.options, kinds=kinds)) if kinds else plan


def _one(plan: Plan, rule: Rule | None) -> int:
    outcome = simulate(plan, tells=True)
    _say(told(outcome))
    if not outcome.violations:
        return 0
    small = shrunk(plan, rule or outcome.violations[0].rule)
    _say("\nshrunk:\n" + told(simulate(small, tells=True)))
    return 1


def _many(first: int, seconds: float, histories: int | None, kinds: tuple[str, ...]) -> int:
    _say(f"seeds from {first}")
    began, count, bad = time.monotonic(), 0, 0
    shown: dict[Rule, int] = {}
    while count < histories if histories else time.monotonic() - began < seconds:
        outcome = simulate(_plan(first + count, kinds))
        count += 1
        if outcome.violations:
            bad += 1
            _show(outcome, shown)
    took = time.monotonic() - began
    _say(f"{count} histories in {took:.1f} s ({1000 * took / count:.1f} ms each), {bad} bad")
    return 1 if bad else 0


def _show(outcome: Outcome, shown: dict[Rule, int]) -> None:
    """The first few of each kind are shrunk."""
    for rule in dict.fromkeys(violation.rule for violation in outcome.violations):
        shown[rule] = shown.get(rule, 0) + 1
        if shown[rule] <= SHOWN:
            small = shrunk(outcome.plan, rule)
            _say(f"\n{rule.name}: {rule}\n{told(simulate(small, tells=True))}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
