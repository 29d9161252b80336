"""Asks each service whether it is ready, and waits until all are; who is not is named with why."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections import Counter

from compose.stack import services
from compose.stack.errors import UNREACHABLE, StackError
from compose.stack.modes.stack import HasUnits, Unit
from compose.stack.output import paint, say
from compose.stack.services import TEMPORAL, WORKER
from compose.stack.settings.load import Settings

PATIENCE = 90.0
POLL_SECONDS = 0.25
ANSWER_PATIENCE = 3.0
# A service on loopback is never asked through a proxy.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def reason(url: str) -> str | None:
    """Why the address does not answer 200, or None where it does."""
    try:
        with DIRECT.open(url, timeout=ANSWER_PATIENCE):
            return None
    except urllib.error.HTTPError as error:
        return detail(error)
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({getattr(error, 'reason', error)})"


def detail(error: urllib.error.HTTPError) -> str:
    """The reason out of a problem body, else the status."""
    try:
        problem = json.loads(error.read())
        return str(problem["detail"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"answers {error.code}"


def probe(settings: Settings, service: str, *, index: int = 0) -> str | None:
    """Why a process of the local mode is not ready, or None where it is."""
    if service == TEMPORAL.name:
        return reason(f"{settings.url(services.UI_PORT)}/healthz")
    port = next(item.port for item in services.ALL if item.name == service)
    number = settings.ports[port] + (index if service == WORKER.name else 0)
    return reason(f"http://{settings.reach(port)}:{number}/readyz")


def expected(settings: Settings) -> Counter[str]:
    """How many of each service there must be."""
    return Counter({s.name: settings.workers if s is WORKER else 1 for s in settings.parts})


def missing(settings: Settings, units: list[Unit]) -> Counter[str]:
    """Services of which there are too few that are ready."""
    return expected(settings) - Counter(unit.service for unit in units if unit.ready)


def all_ready(settings: Settings, units: list[Unit]) -> bool:
    """Whether nothing is missing, and no more workers run than were asked for."""
    extra = Counter(unit.service for unit in units) - expected(settings)
    return not missing(settings, units) and not extra


def wait(settings: Settings, stack: HasUnits) -> None:
    """Report each service as it becomes ready; give up, with reasons, after PATIENCE seconds."""
    began = time.monotonic()
    told: set[str] = set()
    while True:
        units = stack.units()
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
