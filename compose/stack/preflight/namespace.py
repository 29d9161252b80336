"""Temporal's namespace, looked at before anything relies on it; what is missing is told with the
command that mends it, for a self-hosted server or for Temporal Cloud."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from compose.stack.errors import UNREACHABLE, VERDICT, StackError
from compose.stack.modes.stack import Askable
from compose.stack.services import SEMAPHORE, TEMPORAL
from compose.stack.settings.load import Settings

PROGRAM = f"{SEMAPHORE.module}.namespace"
PATIENCE = 180.0
USUAL_DAYS = 3
_CLOUD = re.compile(r"\.(tmprl\.cloud|api\.temporal\.io):\d+$")
_FLAGS = {
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "--tls-cert-path",
    "TEMPORAL_TLS_CLIENT_KEY_PATH": "--tls-key-path",
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH": "--tls-ca-path",
    "TEMPORAL_TLS_SERVER_NAME": "--tls-server-name",
}


@dataclass(frozen=True)
class Outlook:
    """What the semaphore's program found; `commands` mend what it could not."""

    wrong: str
    done: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    away: bool = False


def look(settings: Settings, stack: Askable, what: str, days: int = USUAL_DAYS) -> Outlook:
    """What is wrong, nothing where all is there; after `prepare`. `what` is the program's word."""
    answer = stack.ask(SEMAPHORE, PROGRAM, what, str(days), timeout=PATIENCE)
    if answer.status == UNREACHABLE:
        return Outlook(f"{address(settings)}: {answer.last_line}", away=True)
    if (told := answer.found) is None:
        return Outlook(f"it can't be looked at ({answer.last_line})")
    mends = _to_look(settings) if told["refused"] else _commands(settings, told, days)
    return Outlook(told["wrong"], told["done"], list(mends))


def check(settings: Settings, stack: Askable) -> None:
    """StackError where a server elsewhere won't have us; search attributes are added where we may.

    One that does not answer is waited for by whoever is started.
    """
    if settings.own_temporal:
        return
    stack.prepare()
    found = look(settings, stack, "add")
    if found.wrong and not found.away:
        raise StackError(f"{found.wrong}: nothing was started" + mending(found), VERDICT)


def mending(found: Outlook) -> str:
    """The commands, behind what is wrong."""
    return "".join(f"\n  {command}" for command in found.commands)


def address(settings: Settings) -> str:
    """The server's, as the user's own programs reach it."""
    own = f"{settings.reach(TEMPORAL.port)}:{settings.ports[TEMPORAL.port]}"
    return settings.values.get("TEMPORAL_ADDRESS", own)


def _name(settings: Settings) -> str:
    return settings.values.get("TEMPORAL_NAMESPACE", "default")


def _commands(settings: Settings, told: Mapping[str, Any], days: int) -> Iterator[str]:
    """What makes all that is missing."""
    if _CLOUD.search(address(settings)):
        yield from _of_cloud(_name(settings), told, days)
        return
    if not told["there"]:
        yield _temporal(settings, "namespace", "create", "--retention", f"{days * 24}h")
    for each, kind in told["missing"].items():
        if each in told["instead"]:
            yield _temporal(settings, "search-attribute", "remove", "--name", each)
        yield _temporal(settings, "search-attribute", "create", "--name", each, "--type", kind)


def _of_cloud(name: str, told: Mapping[str, Any], days: int) -> Iterator[str]:
    """The same there, where an attribute of another type is the support's to take away."""
    tcld = ("tcld", "namespace")
    if not told["there"]:
        keep = ("--auth-method", "api_key", "--retention-days", str(days))
        yield shlex.join([*tcld, "create", "--namespace", name, "--region", "REGION", *keep])
    added = [
        f"{each}={kind}" for each, kind in told["missing"].items() if each not in told["instead"]
    ]
    if added:
        words = [word for each in added for word in ("--search-attribute", each)]
        yield shlex.join([*tcld, "search-attributes", "add", "--namespace", name, *words])


def _to_look(settings: Settings) -> Iterator[str]:
    """What shows somebody with more rights how it stands."""
    if _CLOUD.search(address(settings)):
        yield shlex.join(["tcld", "namespace", "get", "--namespace", _name(settings)])
    else:
        yield _temporal(settings, "namespace", "describe")


def _temporal(settings: Settings, *words: str) -> str:
    """A command of Temporal's own program, by the way that our services take."""
    flags = ["--address", address(settings), "--namespace", _name(settings)]
    for setting, flag in _FLAGS.items():
        if setting in settings.values:
            flags += [flag, settings.values[setting]]
    key = ' --api-key "$TEMPORAL_API_KEY"' if "TEMPORAL_API_KEY" in settings.values else ""
    if settings.values.get("TEMPORAL_TLS", "").lower() in ("true", "1"):
        flags.append("--tls")
    return shlex.join(["temporal", "operator", *words, *flags]) + key
