"""Faults of the running mocks, and `make slot-free`."""

import json
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator

from compose.stack.asking import api, call
from compose.stack.given import options
from compose.stack.output import StackError, say, table
from compose.stack.services import Service
from compose.stack.settings import Settings


def _plan(value: str) -> object:
    try:
        plan = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}") from error
    return {"rules": plan} if isinstance(plan, list) else plan


class Fault(BaseModel):
    """A rule, a plan or the name of a preset."""

    rule: Annotated[object, BeforeValidator(_plan)] = None
    preset: str = ""


def arm(settings: Settings, environ: Mapping[str, str]) -> None:
    """Add RULE (JSON: a rule, or a plan) or PRESET (a name) to the mocks in use."""
    asked = options(Fault, environ)
    if (asked.rule is None) == (asked.preset == ""):
        raise StackError(
            "make fault needs PRESET= or RULE='{…}', one of the two; make faults lists presets"
        )
    plan = {"preset": asked.preset} if asked.preset else asked.rule
    answers = [_call(settings, service, "POST", plan) for service in _there(settings)]
    if not any(
        rule["applies"]
        for answer in answers
        for rule in answer["rules"]
        if rule["name"] in answer["added"]
    ):
        raise StackError("nothing is armed: no rule applies to a mock in use")
    show(settings)


def clear(settings: Settings) -> None:
    for service in _there(settings):
        _call(settings, service, "DELETE")
    say("no faults are armed")


def show(settings: Settings) -> None:
    """Print every armed rule with its number of hits, or the names of the presets if none is
    armed."""
    answers = {service: _call(settings, service, "GET") for service in _there(settings)}
    rows = [
        (
            service.name,
            str(rule["name"]),
            f"{rule['where']}.{rule['do']}",
            str(rule["fired"]),
        )
        for service, answer in answers.items()
        for rule in answer["rules"]
        if rule["applies"]
    ]
    if rows:
        say(table([("MOCK", "RULE", "WHAT", "HITS"), *rows]))
        return
    say("no faults are armed; there are these presets (make fault PRESET=…):")
    presets = {p["name"]: p["says"] for answer in answers.values() for p in answer["presets"]}
    say(table([(f"  {name}", str(says)) for name, says in presets.items()]))


def _there(settings: Settings) -> list[Service]:
    if not settings.mocked:
        raise StackError("the mocks are switched off; make mocks-on switches them on")
    return [service for service in settings.whole if service.mock]


def _call(settings: Settings, service: Service, method: str, plan: object = None) -> Any:
    return call(f"{settings.url(service.port)}/admin/faults", plan, method=method)


def free_slot(settings: Settings, environ: Mapping[str, str]) -> None:
    """Give up the drain of run RUN at the slot NAME; its place is free at once."""
    name, run_id = environ.get("NAME") or "job", environ.get("RUN")
    if not run_id:
        raise StackError("make slot-free needs RUN=, a run_id that GET /slots shows as draining")
    view = api(settings, f"/slots/{quote(name, safe='')}/free", {"run_id": run_id})
    held, waiting = len(view["holders"]), view["waiting_count"]
    say(f"its place at {name} is free; held now: {held} of {view['limit']}, waiting: {waiting}")
