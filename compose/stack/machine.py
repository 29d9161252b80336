"""What this machine has: a Docker engine with Compose, and free ports."""

import re
import secrets
import socket
from collections import Counter, deque
from collections.abc import Iterable
from functools import cache

from compose.stack.output import UNREACHABLE, StackError
from compose.stack.services import DEFAULT_PORTS, TEMPORAL, UI_PORT, WORKER
from compose.stack.settings import LOOPBACK, Settings
from compose.stack.subprocesses import capture

PATIENCE = 8.0
# `ps` prints a line for each container since Compose 2.21, the start interval of health checks came
# with engine 25.
OLDEST_COMPOSE = (2, 21)
OLDEST_ENGINE = (25, 0)


def numbers(version: str) -> tuple[int, int]:
    """Return the first two numbers of a version such as `26.1.5+dfsg1` or `v2.26.1-4`."""
    found = re.search(r"(\d+)(?:\.(\d+))?", version)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


@cache
def engine_version() -> str | None:
    answer = capture(["docker", "version", "--format", "{{.Server.Version}}"], timeout=PATIENCE)
    return answer.out.strip() or None if answer.good else None


@cache
def compose() -> tuple[tuple[str, ...], str] | None:
    for command in (("docker", "compose"), ("docker-compose",)):
        answer = capture([*command, "version", "--short"], timeout=PATIENCE)
        if answer.good and numbers(answer.out.strip()) >= OLDEST_COMPOSE:
            return command, answer.out.strip()
    return None


def missing() -> str | None:
    """Return why containers can't be used here, or None."""
    version = engine_version()
    if version is None:
        return "no Docker engine answers"
    if numbers(version) < OLDEST_ENGINE:
        return f"the Docker engine is {version}, {OLDEST_ENGINE[0]} or newer is needed"
    if compose() is None:
        return f"Docker Compose {OLDEST_COMPOSE[0]}.{OLDEST_COMPOSE[1]} or newer is missing"
    return None


# Linux gives the ports from 32768 on to connections (ip_local_port_range), so one from there may be
# taken before its server listens.
LOWEST, HIGHEST = 10240, 32767
# The last ones given to this process, which perhaps nothing listens on yet.
_given: deque[int] = deque(maxlen=600)


def wanted_ports(settings: Settings, *, containers: bool, running: Iterable[str]) -> dict[int, str]:
    """Return the ports that a start would take, with their variables, except those that running
    services have."""
    have = Counter(running)
    needed: dict[int, str] = {}
    held: set[int] = set()
    for service in settings.parts:
        if service.inside and containers:
            continue
        count = settings.workers if service is WORKER else 1
        for name in (service.port, UI_PORT) if service is TEMPORAL else (service.port,):
            first = settings.ports[name]
            needed |= dict.fromkeys(range(first, first + count), name)
            first = settings.held.get(name, first)
            held |= set(range(first, first + have[service.name]))
    return {port: name for port, name in needed.items() if port not in held}


def refusal(bind: str, port: int) -> OSError | None:
    """Return why a program of this user can't listen there, or None if it can."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            return error
    return None


def free_ports(count: int) -> list[int]:
    """Return free ports of loopback, in a row, outside of the range for connections; none that were
    given shortly before."""
    for _ in range(1000):
        first = LOWEST + secrets.randbelow(HIGHEST + 2 - count - LOWEST)
        found = list(range(first, first + count))
        if set(_given).isdisjoint(found) and not any(refusal(LOOPBACK, port) for port in found):
            _given.extend(found)
            return found
    raise StackError(f"no {count} free ports were found one after the other", UNREACHABLE)


def ports_of_a_stack(workers: int = 1, more: Iterable[str] = ()) -> dict[str, int]:
    """Return a free port for each variable; further workers take the next ones, as later."""
    names = [*more, *(name for name in DEFAULT_PORTS if name != WORKER.port), WORKER.port]
    return dict(zip(names, free_ports(len(names) + workers - 1), strict=False))
