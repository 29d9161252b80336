"""Which services run here, where a stack is spread over machines; all of them without ROLES."""

import ipaddress
from collections.abc import Mapping

from compose.stack.services import API, CALLBACK, MOCKS, NAMES, SEMAPHORE, TEMPORAL, WORKER, wanted
from compose.stack.settings.checks import Checks

# What parts on different machines must have in common, and who uses it.
_IN_COMMON = {
    "CALLBACK_SECRET": frozenset({WORKER.name, CALLBACK.name, API.name}),
    "STACK": frozenset({WORKER.name, SEMAPHORE.name}),
}
# They know nothing of Temporal.
_MOCKS = frozenset(service.name for service in MOCKS)


def roles(checks: Checks, values: Mapping[str, str], *, mocks: bool) -> frozenset[str]:
    """The names of ROLES, each once; what is wrong with them is noted."""
    names = frozenset(filter(None, map(str.strip, values.get("ROLES", "").split(","))))
    server = "TEMPORAL_ADDRESS" not in values
    if unknown := sorted(names.difference(NAMES)):
        checks.refuse("ROLES", f"names {', '.join(unknown)}; known are {', '.join(NAMES)}")
    elif names:
        there = {service.name for service in wanted(mocks=mocks, server=server)}
        if away := sorted(names - there):
            checks.refuse("ROLES", f"names {', '.join(away)}, which is elsewhere by the settings")
        if server and TEMPORAL.name not in names and names & there - _MOCKS:
            checks.refuse("ROLES", "needs TEMPORAL_ADDRESS where temporal is not among them")
        _check_common(checks, values, names)
    return names


def _check_common(checks: Checks, values: Mapping[str, str], names: frozenset[str]) -> None:
    """On one machine each is made once for all; on several everybody would make another one."""
    if _is_here(values.get("TEMPORAL_ADDRESS", "127.0.0.1:0")):
        return
    for name, users in _IN_COMMON.items():
        if name not in values and names & users:
            checks.wrong.append(
                f"ROLES with a server elsewhere needs {name}, the same for all parts of the stack"
            )


def _is_here(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
