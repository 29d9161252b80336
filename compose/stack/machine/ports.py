"""Which ports are free? Asked before anything is started, and answered for all of them at once."""

import secrets
import socket
from collections import Counter
from collections.abc import Iterable

from compose.stack import services
from compose.stack.errors import UNREACHABLE, StackError
from compose.stack.services import DEFAULT_PORTS, TEMPORAL, WORKER
from compose.stack.settings.load import LOOPBACK, Settings

# Linux gives the ports from 32768 on to connections (ip_local_port_range): one from there may be
# gone before its server listens.
LOWEST, HIGHEST = 10240, 32767


def wanted(settings: Settings, *, containers: bool, running: Iterable[str]) -> dict[int, str]:
    """Ports that starting would take, with their variables; running services have theirs."""
    have = Counter(running)
    needed: dict[int, str] = {}
    for service in settings.parts:
        if service.inside and containers:
            continue
        count = settings.workers if service is WORKER else 1
        numbers = range(have[service.name], count)
        needed |= {settings.ports[service.port] + index: service.port for index in numbers}
        if service is TEMPORAL and not have[service.name]:
            needed[settings.ports[services.UI_PORT]] = services.UI_PORT
    return needed


def refuse_taken(settings: Settings, needed: dict[int, str]) -> None:
    """One line that names every port that somebody else has, and the variable that moves it."""
    taken = [
        f"{port} ({name})" for port, name in needed.items() if not free(settings.binds[name], port)
    ]
    if taken:
        raise StackError(
            f"already in use: port {', '.join(taken)};"
            " stop what uses it, or move ours with that variable"
        )


def free(bind: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Ports of loopback, one after the other, that nobody has and no connection will be given."""
    for _ in range(1000):
        first = LOWEST + secrets.randbelow(HIGHEST + 2 - count - LOWEST)
        found = list(range(first, first + count))
        if all(free(LOOPBACK, port) for port in found):
            return found
    raise StackError(f"no {count} free ports were found one after the other", UNREACHABLE)


def ports_of_a_stack(workers: int = 1) -> dict[str, int]:
    """A free port for each variable; each further worker takes the next one, as it does later."""
    names = [*(name for name in DEFAULT_PORTS if name != WORKER.port), WORKER.port]
    return dict(zip(names, free_ports(len(names) + workers - 1), strict=False))
