"""The wires between hosts: cut, slow, and joined again."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE, Popen

import pytest

from tests.hosts.net import Host, Net, NoNamespaces, check_possible, network

LISTEN = """
import socket, sys
with socket.create_server((sys.argv[1], 7)) as server:
    print(socket.gethostname(), flush=True)
    while True:
        server.accept()[0].close()
"""


@pytest.fixture
def net() -> Iterator[Net]:
    try:
        check_possible()
    except NoNamespaces as why:
        pytest.skip(f"no hosts on this machine: {why}")
    with network(f"gv{os.getpid()}") as found:
        yield found


@contextmanager
def listening(host: Host) -> Iterator[str]:
    """Somebody listens there; the name that the host has for itself."""
    command = host.command([sys.executable, "-c", LISTEN, host.address])
    with Popen(command, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            host.kill()


def answers(host: Host, *, seconds: float) -> bool:
    try:
        with socket.create_connection((host.address, 7), seconds):
            return True
    except TimeoutError:
        return False


def test_a_host_is_cut_off_alone_and_comes_back(net: Net) -> None:
    b, c = net.add("b"), net.add("c")
    with listening(b) as name, listening(c):
        assert name == "b"
        net.cut(b)
        assert not answers(b, seconds=0.2)
        assert answers(c, seconds=60)
        net.join(b)
        net.slow(b, 256)
        assert answers(b, seconds=60)
        net.quick(b)
    assert b.pids() == []
