"""Arms, lists and clears faults in the running mocks; each mock takes what concerns it."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from compose.stack.errors import UNREACHABLE, StackError, both
from compose.stack.modes.readiness import DIRECT, detail
from compose.stack.output import say, shown, table
from compose.stack.services import IMAGE, VIDEO, Service
from compose.stack.settings.load import Settings

PATIENCE = 5.0
_TARGETS = {"comfyui": (IMAGE,), "kling": (VIDEO,), "both": (IMAGE, VIDEO)}


def arm(settings: Settings, environ: Mapping[str, str]) -> None:
    """Add RULE (JSON: a rule, or a plan) or PRESET (a name) to the mocks that ON names."""
    rule, preset = environ.get("RULE", ""), environ.get("PRESET", "")
    plan, targets = both(lambda: _plan(rule, preset), lambda: _targets(environ))
    for service in targets:
        _call(settings, service, "POST", plan=plan)
    show(settings)


def clear(settings: Settings) -> None:
    """Disarm everything."""
    for service in (IMAGE, VIDEO):
        _call(settings, service, "DELETE")
    say("no faults are armed")


def show(settings: Settings) -> None:
    """Every armed rule with its number of hits, or the names of the presets where none is armed."""
    answers = {service: _call(settings, service, "GET") for service in (IMAGE, VIDEO)}
    rows = [
        (service.name, str(rule["name"]), _effects(rule), str(rule["fired"]))
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


def _plan(rule: str, preset: str) -> object:
    if bool(rule) == bool(preset):
        raise StackError(
            "make fault needs either RULE='{…}' or PRESET=name; make faults lists presets"
        )
    if preset:
        return {"preset": preset}
    try:
        plan = json.loads(rule)
    except (ValueError, RecursionError) as error:
        raise StackError(f"RULE is not JSON: {error}") from error
    return {"rules": plan} if isinstance(plan, list) else plan


def _targets(environ: Mapping[str, str]) -> tuple[Service, ...]:
    on = environ.get("ON") or "both"
    if on not in _TARGETS:
        raise StackError(f"ON={shown(on)} is not one of: {', '.join(_TARGETS)}")
    return _TARGETS[on]


def _effects(rule: Mapping[str, Any]) -> str:
    effects = rule.get("effects") or [rule]
    return ", ".join(f"{effect['where']}.{effect['do']}" for effect in effects)


def _call(
    settings: Settings, service: Service, method: str, *, plan: object = None
) -> dict[str, Any]:
    """One request to a mock's /admin/faults; a refusal is passed on in the mock's own words."""
    if not settings.mocks:
        raise StackError("the mocks are switched off; make mocks-on switches them on")
    request = urllib.request.Request(  # noqa: S310 - our own http address
        f"{settings.url(service.port)}/admin/faults",
        method=method,
        data=None if plan is None else json.dumps(plan).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with DIRECT.open(request, timeout=PATIENCE) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        raise StackError(f"{service.name} refuses: {detail(error)}") from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise StackError(
            f"{service.name} does not answer ({reason}); make up", UNREACHABLE
        ) from error
