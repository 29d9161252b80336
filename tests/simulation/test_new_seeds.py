"""New seeds for a minute, every time another part of all that can happen."""

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.simulation.plan import Plan, drawn
from tests.simulation.shrink import shrunk
from tests.simulation.simulation import simulate
from tests.simulation.tell import told

SECONDS = 60.0


def test_new_seeds_break_no_rule(capsys: pytest.CaptureFixture[str]) -> None:
    first = int(datetime.now(UTC).strftime("%y%m%d%H%M%S")) * 1000
    until, seed = time.monotonic() + SECONDS, first
    while time.monotonic() < until:
        outcome = simulate(_overtaken(drawn(seed)) if seed % 2 else drawn(seed))
        if outcome.violations:
            small = shrunk(outcome.plan, outcome.violations[0].rule)
            pytest.fail(f"seed {seed}\n{told(simulate(small, tells=True))}")
        seed += 1
    with capsys.disabled():
        print(f"\n{seed - first} histories, seeds from {first}")  # noqa: T201


def _overtaken(plan: Plan) -> Plan:
    """Each fifth task is overtaken by a query; what is told names that as `MIX` has it."""
    return replace(plan, options=replace(plan.options, overtakes=0.2))
