"""Temporal as what a peer keeps its jobs in: by itself, and with this repository's services."""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
from temporalio.client import Client

from tests.fixtures.processes import free_port
from tools.peers.servers import Environment, bare, process, until

ROOT = Path(__file__).parents[2]
SECRET = "a-secret-of-32-characters-or-more"
# In the order in which each finds there what it needs.
SERVICES = {
    "services.semaphore": "SEMAPHORE_HTTP_PORT",
    "services.callback": "CALLBACK_PORT",
    "services.api": "API_PORT",
}


@contextlib.contextmanager
def temporal(_: Path, folder: Path) -> Iterator[Environment]:
    """The development server as it comes, but for a database that outlives it."""
    with _server(folder) as address:
        yield {"PEER_SERVER": address}


@contextlib.contextmanager
def quicker(_: Path, folder: Path) -> Iterator[Environment]:
    """The same with the settings of our stack, which say why."""
    with _server(folder, *_of_our_stack()) as address:
        yield {"PEER_SERVER": address}


@contextlib.contextmanager
def genvideo(_: Path, folder: Path) -> Iterator[Environment]:
    """The server as our stack has it, and the services but for the workers, by their defaults."""
    with contextlib.ExitStack() as exits:
        address = exits.enter_context(_server(folder, *_of_our_stack()))
        ports = {name: str(free_port()) for name in SERVICES.values()}
        own = {
            "TEMPORAL_ADDRESS": address,
            "DATA_DIR": str(folder / "data"),
            "CALLBACK_SECRET": SECRET,
            "CALLBACK_URL": _at(ports["CALLBACK_PORT"]),
            **ports,
        }
        for module, name in SERVICES.items():
            command, log = [sys.executable, "-m", module], folder / f"{module}.log"
            exits.enter_context(process(command, _own(folder, own), log))
            until(lambda name=name: is_ready(ports[name]), module)  # type: ignore[misc]
        yield own | {"PEER_SERVER": _at(ports["API_PORT"])}


def _of_our_stack() -> list[str]:
    lines = (ROOT / "compose/temporal.args").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("--")]


def is_ready(port: str) -> bool:
    """Whether the service behind a port has all that it needs."""
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{_at(port)}/readyz", trust_env=False).is_success
    return False


def _at(port: str) -> str:
    return f"http://127.0.0.1:{port}"


def _own(folder: Path, settings: Environment) -> Environment:
    return bare(folder) | {"PYTHONPATH": str(ROOT)} | settings


@contextlib.contextmanager
def _server(folder: Path, *arguments: str) -> Iterator[str]:
    port = str(free_port())
    command = [
        str(Path(sys.executable).with_name("temporal")),
        *("server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", port),
        *("--db-filename", str(folder / "temporal.db"), *arguments),
    ]
    with process(command, bare(folder), folder / "server.log"):
        address = f"127.0.0.1:{port}"
        until(lambda: _answers(address), "the Temporal server")
        yield address


def _answers(address: str) -> bool:
    with contextlib.suppress(RuntimeError):
        asyncio.run(Client.connect(address))
        return True
    return False
