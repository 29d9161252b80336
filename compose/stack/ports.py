"""Are the ports free? Asked before anything is started, and answered for all of them at once."""

import socket
from collections import Counter
from collections.abc import Iterable

from compose.stack import services
from compose.stack.errors import StackError
from compose.stack.services import TEMPORAL, WORKER
from compose.stack.settings import Settings


def wanted(settings: Settings, *, containers: bool, running: Iterable[str]) -> dict[int, str]:
    """Ports that starting would take, with their variables; running services have theirs."""
    have = Counter(running)
    needed: dict[int, str] = {}
    for service in services.wanted(mocks=settings.mocks, server=settings.own_temporal):
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
    taken = [f"{port} ({name})" for port, name in needed.items() if not free(settings.bind, port)]
    if taken:
        raise StackError(
            f"already in use on {settings.bind}: port {', '.join(taken)};"
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
