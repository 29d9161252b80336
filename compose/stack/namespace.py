"""The namespace of another Temporal server: what it lacks, and the commands that fix it, for a
self-hosted server or Temporal Cloud; `make namespace` runs them if it may."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, Field

from compose.stack import choice
from compose.stack.given import options
from compose.stack.output import UNREACHABLE, VERDICT, StackError, say
from compose.stack.readiness import Stack
from compose.stack.services import SEMAPHORE
from compose.stack.settings import Settings

PROGRAM = f"{SEMAPHORE.module}.namespace"
PATIENCE = 180.0
USUAL_DAYS, MOST_DAYS = 3, 3650
_CLOUD = re.compile(r"\.(tmprl\.cloud|api\.temporal\.io):\d+$")


class Options(BaseModel):
    """A new namespace keeps closed jobs for DAYS days."""

    days: Annotated[
        int, Field(ge=1, le=MOST_DAYS, description=f"is not a whole number from 1 to {MOST_DAYS}")
    ] = USUAL_DAYS


@dataclass(frozen=True)
class Outlook:
    """The findings of the semaphore's program; `commands` fix what it could not."""

    wrong: str
    done: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    away: bool = False


def look(settings: Settings, stack: Stack, what: str, days: int = USUAL_DAYS) -> Outlook:
    """Return what is wrong, or nothing; call `prepare` first. `what` is the program's command."""
    answer = stack.ask(SEMAPHORE, PROGRAM, what, str(days), timeout=PATIENCE)
    if answer.status == UNREACHABLE:
        return Outlook(f"{settings.server}: {answer.last_line}", away=True)
    if (seen := answer.found) is None:
        return Outlook(f"it can't be checked ({answer.last_line})")
    mends = _to_look(settings) if seen["refused"] else _commands(settings, seen, days)
    return Outlook(seen["wrong"], seen["done"], list(mends))


def prepare(settings: Settings, environ: Mapping[str, str]) -> None:
    """Create what is missing; raise StackError with the commands if we may not."""
    days = options(Options, environ).days
    if settings.own_temporal and not settings.running:
        raise StackError("no TEMPORAL_ADDRESS: make up gives our own server everything it needs")
    found = look(settings, choice.running_or_prepared(settings), "make", days)
    for each in found.done:
        say(f"made: {each}")
    if found.wrong:
        status = UNREACHABLE if found.away else VERDICT
        commands = "".join(f"\n  {command}" for command in found.commands)
        raise StackError(f"{found.wrong}{commands}", status)
    say(f"everything needed is there, at {settings.server}")


def _name(settings: Settings) -> str:
    return settings.values.get("TEMPORAL_NAMESPACE", "default")


def _commands(settings: Settings, seen: Mapping[str, Any], days: int) -> Iterator[str]:
    """Return the commands that create everything missing."""
    if _CLOUD.search(settings.server):
        yield from _of_cloud(_name(settings), seen, days)
        return
    if not seen["there"]:
        yield _temporal(settings, "namespace", "create", "--retention", f"{days * 24}h")
    for each, kind in seen["missing"].items():
        if each in seen["instead"]:
            yield _temporal(settings, "search-attribute", "remove", "--name", each)
        yield _temporal(settings, "search-attribute", "create", "--name", each, "--type", kind)


def _of_cloud(name: str, seen: Mapping[str, Any], days: int) -> Iterator[str]:
    """Return the same for Temporal Cloud; only its support can remove an attribute of another
    type."""
    tcld = ("tcld", "namespace")
    if not seen["there"]:
        keep = ("--auth-method", "api_key", "--retention-days", str(days))
        yield shlex.join([*tcld, "create", "--namespace", name, "--region", "REGION", *keep])
    added = [
        f"{each}={kind}" for each, kind in seen["missing"].items() if each not in seen["instead"]
    ]
    if added:
        words = [word for each in added for word in ("--search-attribute", each)]
        yield shlex.join([*tcld, "search-attributes", "add", "--namespace", name, *words])


def _to_look(settings: Settings) -> Iterator[str]:
    """Return the command that shows the state to somebody with more rights."""
    if _CLOUD.search(settings.server):
        yield shlex.join(["tcld", "namespace", "get", "--namespace", _name(settings)])
    else:
        yield _temporal(settings, "namespace", "describe")


def _temporal(settings: Settings, *words: str) -> str:
    """Return a command of Temporal's own program, with the connection of our services."""
    flags = ["--address", settings.server, "--namespace", _name(settings)]
    for setting, flag in (
        ("TEMPORAL_TLS_CLIENT_CERT_PATH", "--tls-cert-path"),
        ("TEMPORAL_TLS_CLIENT_KEY_PATH", "--tls-key-path"),
        ("TEMPORAL_TLS_SERVER_CA_CERT_PATH", "--tls-ca-path"),
        ("TEMPORAL_TLS_SERVER_NAME", "--tls-server-name"),
    ):
        if setting in settings.values:
            flags += [flag, settings.values[setting]]
    key = ' --api-key "$TEMPORAL_API_KEY"' if "TEMPORAL_API_KEY" in settings.values else ""
    if settings.values.get("TEMPORAL_TLS", "").lower() in ("true", "1"):
        flags.append("--tls")
    return shlex.join(["temporal", "operator", *words, *flags]) + key
