"""Shows the running stack: its state, its logs, and where everything answers."""

import sys
from collections.abc import Mapping

from compose.stack import services
from compose.stack.errors import StackError, both
from compose.stack.modes import choice, readiness
from compose.stack.modes.local import Local
from compose.stack.modes.stack import Unit
from compose.stack.output import paint, say, shown, table
from compose.stack.services import API, CALLBACK, IMAGE, TEMPORAL, VIDEO
from compose.stack.settings.checks import is_whole
from compose.stack.settings.environment import public, vendors
from compose.stack.settings.load import Settings

LINES = 100


def ps(settings: Settings) -> None:
    """A row per container or process, and one for each that should be there and isn't."""
    found = choice.chosen(settings).units() if settings.running else []
    units = sorted(found, key=lambda unit: (services.NAMES.index(unit.service), unit.name))
    if not units:
        say("the stack is not running; make up starts it")
        return
    say(f"MODE={settings.running}")
    rows = [("SERVICE", "NAME", "STATE", "PORT", "DETAIL"), *(_row(settings, u) for u in units)]
    absent = set(readiness.expected(settings)) - {unit.service for unit in units}
    rows += [(name, "-", "missing", "-", "make up starts it") for name in sorted(absent)]
    say(table(rows))
    ready = readiness.all_ready(settings, units)
    say(paint("all ready", "good") if ready else paint("not all ready", "bad"))


def _row(settings: Settings, unit: Unit) -> tuple[str, str, str, str, str]:
    service = next(item for item in services.ALL if item.name == unit.service)
    port = "-" if service.inside else str(settings.ports[service.port])
    return unit.service, unit.name, unit.state, port, unit.detail


def logs(settings: Settings, environ: Mapping[str, str]) -> int:
    """The last LINES lines of the services in S (default: all); followed on a terminal."""
    names, lines = both(lambda: _names(environ), lambda: _lines(environ))
    terminal = sys.stdout.isatty() and not environ.get("CI")
    follow = environ.get("FOLLOW", "1" if terminal else "0") == "1"
    # Log files of the local mode are still there when it has stopped; containers' logs are not.
    stack = choice.chosen(settings) if settings.running else Local(settings)
    return stack.logs(names, lines=lines, follow=follow)


def _names(environ: Mapping[str, str]) -> list[str]:
    names = environ.get("S", "").replace(",", " ").split()
    if strange := [name for name in names if name not in services.NAMES]:
        raise StackError(
            f"no service {shown(', '.join(strange))}; there are: {', '.join(services.NAMES)}"
        )
    return names


def _lines(environ: Mapping[str, str]) -> int:
    lines = environ.get("LINES") or str(LINES)
    if not is_whole(lines):
        raise StackError(f"LINES={shown(lines)} is not a whole number")
    return int(lines)


def addresses(settings: Settings) -> list[tuple[str, str]]:
    """What there is, with its address."""
    seen = public(settings)
    api = settings.url(API.port)
    image, video = vendors(settings)
    given = settings.values
    port = settings.ports[TEMPORAL.port]
    server = given.get("TEMPORAL_ADDRESS", f"{settings.reach(TEMPORAL.port)}:{port}")
    rows = [
        (API, "dashboard", f"{seen['API_PUBLIC_URL'].rstrip('/')}/"),
        (API, "API reference", f"{api}/docs"),
        (None if "TEMPORAL_UI_URL" in given else TEMPORAL, "Temporal UI", seen["TEMPORAL_UI_URL"]),
        (TEMPORAL if settings.own_temporal else None, "Temporal gRPC", server),
        (CALLBACK, "callback receiver", settings.url(CALLBACK.port)),
        (IMAGE, IMAGE.about, settings.url(IMAGE.port)),
        (VIDEO, VIDEO.about, settings.url(VIDEO.port)),
        (None, "image service", image),
        (None, "video service", video),
    ]
    return [
        (what, address)
        for service, what, address in rows
        if address is not None and (service is None or service in settings.parts)
    ]


def urls(settings: Settings) -> None:
    """Print them all."""
    say(table(addresses(settings)))
