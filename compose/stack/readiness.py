"""Waits until every service is ready; names those that are not, with the reason."""

import time
from collections import Counter
from typing import Protocol

from compose.stack import services
from compose.stack.errors import UNREACHABLE, StackError
from compose.stack.output import paint, say
from compose.stack.services import WORKER
from compose.stack.settings import Settings
from compose.stack.status import Unit

PATIENCE = 90.0
POLL_SECONDS = 0.25


class HasUnits(Protocol):
    """Whoever can list the parts of the stack."""

    def units(self) -> list[Unit]:
        """All parts that there are."""


def expected(settings: Settings) -> Counter[str]:
    """How many of each service there must be."""
    ours = services.wanted(mocks=settings.mocks, server=settings.own_temporal)
    return Counter({s.name: settings.workers if s is WORKER else 1 for s in ours})


def missing(settings: Settings, units: list[Unit]) -> Counter[str]:
    """Services of which there are too few that are ready."""
    return expected(settings) - Counter(unit.service for unit in units if unit.ready)


def all_ready(settings: Settings, units: list[Unit]) -> bool:
    """Whether nothing is missing, and no more workers run than were asked for."""
    extra = Counter(unit.service for unit in units) - expected(settings)
    return not missing(settings, units) and not extra


def wait(settings: Settings, run: HasUnits) -> None:
    """Report each service as it becomes ready; give up, with reasons, after PATIENCE seconds."""
    began = time.monotonic()
    told: set[str] = set()
    while True:
        units = run.units()
        lacking = missing(settings, units)
        for name in [name for name in expected(settings) if name not in lacking]:
            if name not in told:
                told.add(name)
                say(f"  {paint('ready', 'good')}  {name:<13} {time.monotonic() - began:5.1f} s")
        if not lacking:
            return
        if time.monotonic() - began > PATIENCE:
            raise StackError(_reasons(units, lacking), UNREACHABLE)
        time.sleep(POLL_SECONDS)


def _reasons(units: list[Unit], lacking: Counter[str]) -> str:
    details = {unit.service: f"{unit.state}, {unit.detail}" for unit in units if not unit.ready}
    said = "; ".join(f"{name} ({details.get(name, 'not there')})" for name in lacking)
    return f"not ready after {PATIENCE:.0f} s: {said}; see make logs S={next(iter(lacking))}"
