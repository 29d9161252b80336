"""Hosts as network namespaces: one bridge, a wire to each, and this machine's own wire beside them.

The bridge has a namespace of its own, where no rule of a container engine looks at its frames.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

NETWORK = "10.77.0"
OURS = f"{NETWORK}.254"
# The states of a bridge's port: one that is disabled loses frames, and neither end hears of it.
_DISABLED, _FORWARDING = "0", "3"


class NoNamespaces(Exception):
    """Why there can be no hosts here."""


@dataclass(frozen=True)
class Host:
    """A namespace with an address; `port` is its wire's end at the bridge."""

    name: str
    address: str
    namespace: str
    port: str

    def command(self, words: Sequence[str]) -> list[str]:
        """What runs these words there, under the host's own name."""
        there = ["ip", "netns", "exec", self.namespace, "unshare", "--uts"]
        return [*there, "sh", "-c", 'hostname "$0" && exec "$@"', self.name, *words]

    def pids(self) -> list[int]:
        """Its processes."""
        return [int(pid) for pid in _run("ip", "netns", "pids", self.namespace).split()]

    def kill(self) -> None:
        """End all that runs there at once, as a power cut does."""
        while pids := self.pids():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Net:
    """The bridge and its hosts."""

    mark: str
    hosts: list[Host] = field(default_factory=list)

    def add(self, name: str) -> Host:
        """One host more; addresses are given in this order from .1 on."""
        number = len(self.hosts) + 1
        host = Host(name, f"{NETWORK}.{number}", f"{self.mark}-{name}", f"port{number}")
        _run("ip", "netns", "add", host.namespace)
        self.hosts.append(host)
        self._wire(host.namespace, "eth0", host.port, host.address)
        return host

    def cut(self, host: Host) -> None:
        """From now on nothing arrives, in either direction, and nothing says so."""
        self._state(host, _DISABLED)

    def join(self, host: Host) -> None:
        """The end of a cut."""
        self._state(host, _FORWARDING)

    def slow(self, host: Host, kilobits: int) -> None:
        """No more a second than so much in either direction; what is more waits for 2 s."""
        rate = ("rate", f"{kilobits}kbit", "burst", "16kb", "latency", "2s")
        for device in self._ends(host):
            _run("tc", *device[:2], "qdisc", "replace", "dev", device[2], "root", "tbf", *rate)

    def quick(self, host: Host) -> None:
        """The end of being slow."""
        for device in self._ends(host):
            _run("tc", *device[:2], "qdisc", "del", "dev", device[2], "root")

    def _state(self, host: Host, state: str) -> None:
        port = ("dev", host.port, "state", state)
        _run("ip", "netns", "exec", self._middle, "bridge", "link", "set", *port)

    def _ends(self, host: Host) -> Iterator[tuple[str, str, str]]:
        yield ("-netns", host.namespace, "eth0")
        yield ("-netns", self._middle, host.port)

    @property
    def _middle(self) -> str:
        return f"{self.mark}-bridge"

    def _begin(self) -> None:
        _run("ip", "netns", "add", self._middle)
        _run("ip", "-n", self._middle, "link", "add", "bridge", "type", "bridge")
        _run("ip", "-n", self._middle, "link", "set", "bridge", "up")
        self._wire(None, f"{self.mark}-us", "us", OURS)

    def _wire(self, namespace: str | None, device: str, port: str, address: str) -> None:
        there = ("-n", namespace) if namespace else ()
        _run(
            "ip", *there, "link", "add", device, "type", "veth", "peer", port, "netns", self._middle
        )
        _run("ip", "-n", self._middle, "link", "set", port, "master", "bridge", "up")
        _run("ip", *there, "address", "add", f"{address}/24", "dev", device)
        for each in ("lo", device) if namespace else (device,):
            _run("ip", *there, "link", "set", each, "up")

    def _end(self) -> None:
        for host in self.hosts:
            host.kill()
        for namespace in (*(host.namespace for host in self.hosts), self._middle):
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)


@contextmanager
def network(mark: str) -> Iterator[Net]:
    """A net for as long as the block runs; whatever runs on its hosts ends with it."""
    net = Net(mark)
    try:
        net._begin()
        yield net
    finally:
        net._end()


def check_possible() -> None:
    """Raise NoNamespaces, with why, where this machine can't have hosts."""
    if missing := [tool for tool in ("ip", "bridge", "tc", "unshare") if not shutil.which(tool)]:
        raise NoNamespaces(f"{', '.join(missing)} not found")
    if f" {NETWORK}." in _run("ip", "-4", "address"):
        raise NoNamespaces(f"{NETWORK}.0/24 is used here")
    try:
        with network("gvtry") as net:
            net.add("a")
    except subprocess.CalledProcessError as error:
        raise NoNamespaces(f"{' '.join(error.cmd)}: {error.stderr.strip()}") from None


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout
