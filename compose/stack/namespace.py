"""The namespace of another Temporal server: what it lacks, and the commands that fix it, for a
self-hosted server or Temporal Cloud; `make namespace` runs them if it may."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, Field

from compose.stack import modes
from compose.stack.given import options
from compose.stack.output import UNREACHABLE, VERDICT, StackError, say
from compose.stack.services import SEMAPHORE
from compose.stack.settings import Settings

PROGRAM = f"{SEMAPHORE.module}.namespace"
PATIENCE = 180.0
USUAL_DAYS, MOST_DAYS = 3, 3650
_CLOUD = re.compile(r"\.(tmprl\.cloud|api\.temporal\.io):\d+$")
# Settings of the connection, and the flags of Temporal's own program.
_FLAGS = {
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "--tls-cert-path",
    "TEMPORAL_TLS_CLIENT_KEY_PATH": "--tls-key-path",
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH": "--tls-ca-path",
    "TEMPORAL_TLS_SERVER_NAME": "--tls-server-name",
}


class Options(BaseModel):
    """A new namespace keeps closed jobs for DAYS days."""

    days: int = Field(
        USUAL_DAYS, ge=1, le=MOST_DAYS, description=f"is not a whole number from 1 to {MOST_DAYS}"
    )


@dataclass(frozen=True)
class NamespaceFindings:
    """The findings of the semaphore's program; `commands` fix what it could not."""

    wrong: str
    done: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    away: bool = False


def look(
    settings: Settings, stack: modes.Stack, what: str, days: int = USUAL_DAYS
) -> NamespaceFindings:
    """Return the findings; call `prepare` first. `what` is the program's command."""
    answer = stack.ask(SEMAPHORE, PROGRAM, what, str(days), timeout=PATIENCE)
    if answer.status == UNREACHABLE:
        return NamespaceFindings(f"{settings.server}: {answer.last_line}", away=True)
    if (seen := answer.found) is None:
        return NamespaceFindings(f"it can't be checked ({answer.last_line})")
    cloud = _CLOUD.search(settings.server)
    commands = (_of_cloud if cloud else _of_server)(settings, seen, days)
    return NamespaceFindings(seen["wrong"], seen["done"], list(commands))


def prepare(settings: Settings, environ: Mapping[str, str]) -> None:
    """Create what is missing; raise StackError with the commands if we may not."""
    days = options(Options, environ).days
    if settings.own_temporal and not settings.running:
        raise StackError("no TEMPORAL_ADDRESS: make up gives our own server everything it needs")
    found = look(settings, modes.running_or_prepared(settings), "make", days)
    for each in found.done:
        say(f"made: {each}")
    if found.wrong:
        status = UNREACHABLE if found.away else VERDICT
        commands = "".join(f"\n  {command}" for command in found.commands)
        raise StackError(f"{found.wrong}{commands}", status)
    say(f"everything needed is there, at {settings.server}")


def _of_server(settings: Settings, seen: Mapping[str, Any], days: int) -> Iterator[str]:
    """Return the commands that create what is missing, or show the state, with our connection's
    options."""
    flags = ["--address", settings.server, "--namespace", _name(settings)]
    for setting in [each for each in _FLAGS if each in settings.values]:
        flags += [_FLAGS[setting], settings.values[setting]]
    if settings.values.get("TEMPORAL_TLS", "").lower() in ("true", "1"):
        flags.append("--tls")
    key = ' --api-key "$TEMPORAL_API_KEY"' if "TEMPORAL_API_KEY" in settings.values else ""

    def temporal(*words: str) -> str:
        return shlex.join(["temporal", "operator", *words, *flags]) + key

    if seen["refused"]:
        yield temporal("namespace", "describe")
        return
    if not seen["there"]:
        yield temporal("namespace", "create", "--retention", f"{days * 24}h")
    for each, kind in seen["missing"].items():
        if each in seen["instead"]:
            yield temporal("search-attribute", "remove", "--name", each)
        yield temporal("search-attribute", "create", "--name", each, "--type", kind)


def _of_cloud(settings: Settings, seen: Mapping[str, Any], days: int) -> Iterator[str]:
    """Return the same for Temporal Cloud; only its support can remove an attribute of another
    type."""
    name = _name(settings)
    if seen["refused"]:
        yield shlex.join(["tcld", "namespace", "get", "--namespace", name])
        return
    if not seen["there"]:
        keep = ("--auth-method", "api_key", "--retention-days", str(days))
        create = ("create", "--namespace", name, "--region", "REGION")
        yield shlex.join(["tcld", "namespace", *create, *keep])
    added = [
        f"{each}={kind}" for each, kind in seen["missing"].items() if each not in seen["instead"]
    ]
    if added:
        words = [word for each in added for word in ("--search-attribute", each)]
        add = ("search-attributes", "add", "--namespace", name)
        yield shlex.join(["tcld", "namespace", *add, *words])


def _name(settings: Settings) -> str:
    return settings.values.get("TEMPORAL_NAMESPACE", "default")
