"""A supervisor that is stopping everything already is waited for, and is no trouble."""

import socket
from collections.abc import Callable
from threading import Thread
from xmlrpc.client import Fault
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

import pytest

from compose.stack.modes.local import Local
from compose.stack.processes.programs import socket_path
from compose.stack.processes.supervisor import SHUTDOWN_STATE
from tests.compose.stack.conftest import Load


class Handler(SimpleXMLRPCRequestHandler):
    """Over a socket that knows nothing of TCP."""

    disable_nagle_algorithm = False


class Supervisor(SimpleXMLRPCServer):
    """One that ends: it says so to the first call, and is gone."""

    address_family = socket.AF_UNIX

    def __init__(self, local: Local) -> None:
        path = socket_path(local.settings.run_dir)
        path.parent.mkdir(parents=True)
        super().__init__(str(path), Handler, logRequests=False)  # type: ignore[arg-type]
        self.asked: list[str] = []

    def _dispatch(self, method: str, _: object) -> None:
        self.asked.append(method)
        raise Fault(SHUTDOWN_STATE, "SHUTDOWN_STATE")

    def ends(self) -> None:
        """Look into its socket, answer one call, and close."""
        while not self.asked:
            self.handle_request()
        self.server_close()


@pytest.mark.parametrize("ask", [Local.units, Local.down], ids=["asked", "told to end again"])
def test_one_that_is_ending_is_waited_for(settings: Load, ask: Callable[[Local], object]) -> None:
    local = Local(settings(MODE="local"))
    server = Supervisor(local)
    thread = Thread(target=server.ends, daemon=True)
    thread.start()

    assert not ask(local)

    thread.join()
    assert len(server.asked) == 1
    assert not local.alive()
