"""Call the running supervisord over its socket, in its own protocol (XML-RPC)."""

import http.client
import socket
import time
import xmlrpc.client
from contextlib import suppress
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from compose.stack.output import UNREACHABLE, StackError
from compose.stack.services import TEMPORAL

# Longer than it gives a process to stop.
PATIENCE = 30.0
PAUSE = 0.05
# Its codes for a call that comes while it stops everything, and for a program that still runs.
SHUTDOWN_STATE, STILL_RUNNING = 6, 91


class IsEnding(StackError):
    """It is shutting down."""


class StillRuns(StackError):
    """A program has not stopped yet."""


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as wire, suppress(OSError):
        wire.connect(str(path))
        return True
    return False


def update(path: Path) -> None:
    """Apply the present configuration; unchanged programs run on."""
    [[added, changed, removed]] = call(path, "supervisor.reloadConfig")
    gone = {*removed, *changed}
    # All at once, but the server last, because the others deregister there.
    for batch in (gone - {TEMPORAL.name}, gone & {TEMPORAL.name}):
        for name in batch:
            call(path, "supervisor.stopProcessGroup", name, False)
        deadline = time.monotonic() + PATIENCE
        for name in batch:
            while True:
                with suppress(StillRuns):
                    call(path, "supervisor.removeProcessGroup", name)
                    break
                if time.monotonic() > deadline:
                    raise StackError(f"supervisor: {name} does not stop", UNREACHABLE)
                time.sleep(PAUSE)
    for name in (*added, *changed):
        call(path, "supervisor.addProcessGroup", name)


def call(path: Path, method: str, *given: str | bool) -> Any:
    """Return the answer to a call such as `supervisor.getAllProcessInfo`; raise IsEnding."""
    transport, before = SupervisorTransport(serverurl=f"unix://{path}"), socket.getdefaulttimeout()
    with xmlrpc.client.ServerProxy("http://localhost", transport) as proxy:
        # Its sockets have no time-out of their own.
        socket.setdefaulttimeout(PATIENCE)
        try:
            return getattr(proxy, method)(*given)
        except xmlrpc.client.Fault as fault:
            kinds = {SHUTDOWN_STATE: IsEnding, STILL_RUNNING: StillRuns}
            kind = kinds.get(fault.faultCode, StackError)
            raise kind(f"supervisor: {method}: {fault.faultString}", UNREACHABLE) from fault
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise StackError(f"supervisor: {method}: {error}", UNREACHABLE) from error
        finally:
            socket.setdefaulttimeout(before)
