"""Call the running supervisord over its socket, in its own protocol (XML-RPC)."""

import http.client
import socket
import xmlrpc.client
from pathlib import Path
from typing import Any

from compose.stack.output import UNREACHABLE, StackError

# Longer than it gives a process to stop.
PATIENCE = 30.0
# Its code for a call that comes while it stops everything.
SHUTDOWN_STATE = 6


class IsEnding(StackError):
    """It is shutting down."""


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(self._path))


def answers(path: Path) -> bool:
    """True if a supervisor listens there."""
    connection = _Connection(path)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def update(path: Path) -> None:
    """Apply the present configuration; unchanged programs run on."""
    [[added, changed, removed]] = call(path, "supervisor.reloadConfig")
    for name in (*removed, *changed):
        call(path, "supervisor.stopProcessGroup", name)
        call(path, "supervisor.removeProcessGroup", name)
    for name in (*added, *changed):
        call(path, "supervisor.addProcessGroup", name)


def call(path: Path, method: str, *given: str) -> Any:
    """Return the answer to a call such as `supervisor.getAllProcessInfo`; raise IsEnding."""
    body = xmlrpc.client.dumps(given, method).encode()
    connection = _Connection(path)
    try:
        connection.request("POST", "/RPC2", body, {"Content-Type": "text/xml"})
        answer, _ = xmlrpc.client.loads(connection.getresponse().read())
    except xmlrpc.client.Fault as fault:
        kind = IsEnding if fault.faultCode == SHUTDOWN_STATE else StackError
        raise kind(f"supervisor: {method}: {fault.faultString}", UNREACHABLE) from fault
    except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
        raise StackError(f"supervisor: {method}: {error}", UNREACHABLE) from error
    finally:
        connection.close()
    return answer[0]
