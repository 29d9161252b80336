"""Show the running stack: its state, its logs, and its addresses."""

import sys
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationInfo

from compose.stack import modes
from compose.stack.environment import public, vendors
from compose.stack.given import options
from compose.stack.local import Local, marked
from compose.stack.output import UNREACHABLE, paint, say, table
from compose.stack.services import API, CALLBACK, IMAGE, TEMPORAL, VIDEO
from compose.stack.settings import Settings
from shared.http.mistakes import DIGITS


def ps(settings: Settings) -> int:
    """Print a row per container or process, and one for each that is missing; return
    UNREACHABLE unless all is ready."""
    found = modes.chosen(settings).units() if settings.running else []
    services = {each.name: each for each in settings.every}
    units = sorted(found, key=lambda unit: ([*services].index(unit.service), unit.name))
    if not units:
        if left := len(marked(settings.run_dir)):
            say(f"{left} processes of an earlier supervisor run on; make up replaces them")
        else:
            say("the stack is not running; make up starts it")
        return UNREACHABLE
    say(f"MODE={settings.running}")
    rows = [("SERVICE", "NAME", "STATE", "PORT", "DETAIL")]
    for unit in units:
        service = services[unit.service]
        port = "-" if service.inside else str(settings.ports[service.port])
        rows.append((unit.service, unit.name, unit.state, port, unit.detail))
    absent = modes.expected(settings).keys() - {unit.service for unit in units}
    rows += [(name, "-", "missing", "-", "make up starts it") for name in sorted(absent)]
    say(table(rows))
    ready = modes.all_ready(settings, units)
    say(paint("all ready", "good") if ready else paint("not all ready", "bad"))
    return 0 if ready else UNREACHABLE


def _names(value: str, info: ValidationInfo) -> list[str]:
    names, known = value.replace(",", " ").split(), (info.context or {})["services"]
    if strange := [name for name in names if name not in known]:
        raise ValueError(f"names {', '.join(strange)}; known are {', '.join(known)}")
    return names


class Logs(BaseModel):
    """The last lines of these services, by default of all; what follows, by default on a
    terminal."""

    s: Annotated[list[str], BeforeValidator(_names)] = []
    lines: Annotated[int, Field(ge=0, le=10**9, description="is not a whole number"), DIGITS] = 100
    follow: Literal["0", "1"] | None = None


def logs(settings: Settings, environ: Mapping[str, str]) -> int:
    asked = options(Logs, environ, services=[each.name for each in settings.every])
    terminal = sys.stdout.isatty() and not environ.get("CI")
    follow = asked.follow == "1" if asked.follow else terminal
    # Log files of the local mode stay when it has stopped; containers' logs do not.
    stack = modes.chosen(settings) if settings.running else Local(settings)
    return stack.logs(asked.s, lines=asked.lines, follow=follow)


def urls(settings: Settings) -> None:
    image, video = vendors(settings)
    own_ui = "TEMPORAL_UI_URL" not in settings.values
    rows = [
        (API, "dashboard", f"{public(settings).rstrip('/')}/"),
        (API, "API reference", f"{settings.url(API.port)}/docs"),
        (TEMPORAL if own_ui else None, "Temporal UI", settings.ui),
        (TEMPORAL if settings.own_temporal else None, "Temporal gRPC", settings.server),
        (CALLBACK, "callback receiver", settings.url(CALLBACK.port)),
        (IMAGE, IMAGE.about, settings.url(IMAGE.port)),
        (VIDEO, VIDEO.about, settings.url(VIDEO.port)),
        *((each, each.about, settings.url(each.port)) for each in settings.further if each.mock),
        (None, "image service", image),
        (None, "video service", video),
    ]
    say(
        table(
            [
                (what, address)
                for service, what, address in rows
                if address is not None and (service is None or service in settings.parts)
            ]
        )
    )
