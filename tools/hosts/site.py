"""A stack over hosts, started by its own commands: `ground` has what others run (server, store,
vendors), `a` API, semaphore and receiver, `b` and `c` a worker and a receiver each.

Each has a copy of the code and a data folder of its own: the network is all that they share.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import TLSConfig

from tools.hosts import certificates
from tools.hosts.clock import wrap
from tools.hosts.front import TEMPORAL_PORT
from tools.hosts.net import Host, Net, network

ROOT = Path(__file__).resolve().parents[2]
IMAGES, VIDEOS, API, CALLBACK, STORE = 6889, 16882, 8000, 8001, 5000
TOKEN = "a-token-of-the-api-for-hosts"
ROLES = {
    "ground": "temporal,mock-comfyui,mock-kling",
    "a": "api,callback,semaphore",
    "b": "worker,callback",
    "c": "worker,callback",
}
WORKING = ("b", "c")


@dataclass
class Site:
    """The net with its hosts by name, and how each is configured."""

    net: Net
    folder: Path
    settings: Mapping[str, str]
    hosts: dict[str, Host] = field(default_factory=dict)

    @property
    def hold(self) -> Path:
        """While it is there, the store keeps results waiting."""
        return self.folder / "hold"

    def address(self, name: str, port: int) -> str:
        """Where a host's service answers others."""
        return f"http://{self.hosts[name].address}:{port}"

    def make(self, name: str, *words: str, good: bool | None = True) -> str:
        """Run a target on a host; by default it must end well, with None it may end anyhow."""
        done = subprocess.run(
            self.hosts[name].command(["make", *words]),
            cwd=self.code(name),
            env=self.environment(name),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        said = f"{name}: make {' '.join(words)}:\n{done.stdout}"
        assert good is None or (done.returncode == 0) == good, said
        return done.stdout

    def up(self, name: str) -> str:
        """Have a host's parts run."""
        return self.make(name, "up", f"ROLES={ROLES[name]}")

    def upgrade(self, name: str) -> None:
        """Have a host's workers be of another build, whose history is the same."""
        with (self.code(name) / "services/worker/__init__.py").open("a", encoding="utf-8") as file:
            file.write("\n# another build\n")
        self.up(name)

    def off_by(self, name: str, seconds: float, library: Path) -> None:
        """Restart a host's parts under a clock that is so much ahead; libfaketime is named."""
        self.make(name, "down")
        environment = self.code(name) / ".venv"
        environment.unlink()
        wrap(environment, ROOT / ".venv", seconds=seconds, library=library)
        self.up(name)

    def code(self, name: str) -> Path:
        """A host's own copy of the code."""
        return self.folder / name / "genvideo"

    def environment(self, name: str) -> dict[str, str]:
        """The environment of its make."""
        inherited = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        python = str(Path(sys.executable).resolve())
        told = {"MODE": "local", "NO_COLOR": "1", "PYTHON": python, "MOCK_SPEED": "100"}
        own = self._of_ground() if name == "ground" else self._of_part(name)
        return {**inherited, **told, **own, **self.settings}

    def _of_ground(self) -> dict[str, str]:
        receivers = ",".join(f"{self.hosts[name].address}:{CALLBACK}" for name in ("a", *WORKING))
        here = self.hosts["ground"].address
        return {
            "ALLOWED_HOSTS": here,
            "MOCK_CALLBACK_HOSTS": receivers,
            "MOCK_PICTURE_HOSTS": f"{here}:{IMAGES}",
            "MOCK_LEDGER": "disk",
        }

    def _of_part(self, name: str) -> dict[str, str]:
        pems = self.folder / "certificates"
        here = self.hosts[name].address
        return {
            "TEMPORAL_ADDRESS": f"{self.hosts['ground'].address}:{TEMPORAL_PORT}",
            "TEMPORAL_TLS": "true",
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(pems / certificates.AUTHORITY),
            "TEMPORAL_TLS_CLIENT_CERT_PATH": str(pems / certificates.CLIENT),
            "TEMPORAL_TLS_CLIENT_KEY_PATH": str(pems / certificates.CLIENT),
            "STORE_URL": "s3://bucket/hosts",
            "STORE_ENDPOINT": self.address("ground", STORE),
            "STORE_KEY": "an-id",
            "STORE_SECRET": "a-key",
            "STACK": "hosts",
            "CALLBACK_SECRET": "a-secret-of-the-callbacks-of-hosts",
            "IMAGE_SERVICE_URL": self.address("ground", IMAGES),
            "VIDEO_SERVICE_URL": self.address("ground", VIDEOS),
            "API_PUBLIC_URL": self.address("a", API),
            "CALLBACK_BIND_ADDRESS": here,
            "CALLBACK_URL": f"http://{here}:{CALLBACK}",
            **({"API_BIND_ADDRESS": here, "API_TOKEN": TOKEN} if name == "a" else {}),
        }

    async def client(self) -> Client:
        """Of the server, from outside of every host."""
        pems = self.folder / "certificates"
        pair = (pems / certificates.CLIENT).read_bytes()
        return await Client.connect(
            f"{self.hosts['ground'].address}:{TEMPORAL_PORT}",
            data_converter=pydantic_data_converter,
            tls=TLSConfig(
                server_root_ca_cert=(pems / certificates.AUTHORITY).read_bytes(),
                client_cert=pair,
                client_private_key=pair,
            ),
        )

    def api(self) -> httpx.AsyncClient:
        """One that is let in."""
        return httpx.AsyncClient(
            base_url=self.address("a", API),
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=60,
        )

    def ledger(self) -> list[dict[str, Any]]:
        """Every generation that either mock accepted."""
        urls = (f"{self.address('ground', port)}/admin/ledger" for port in (IMAGES, VIDEOS))
        return [row for url in urls for row in httpx.get(url, timeout=60).json()]


@contextmanager
def site(folder: Path, **settings: str) -> Iterator[Site]:
    """All hosts, up; each gets `settings`."""
    with network(f"gv{os.getpid()}") as net:
        found = Site(net, folder, settings)
        for name in ROLES:
            found.hosts[name] = net.add(name)
            _copy(found.code(name))
        certificates.make(folder / "certificates", found.hosts["ground"].address)
        with _ground(found):
            for name in ROLES:
                found.up(name)
            yield found


@contextmanager
def _ground(site: Site) -> Iterator[None]:
    """The store, and what stands before all that listens on the ground's loopback alone."""
    ground = site.hosts["ground"]
    command = ground.command([sys.executable, "-m", "tools.hosts.store", str(site.hold)])
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as store:
        assert store.stdout is not None
        port = store.stdout.readline().strip().rpartition(":")[2]
        pairs = [f"{each}={each}" for each in (TEMPORAL_PORT, IMAGES, VIDEOS)]
        words = [ground.address, str(site.folder / "certificates"), *pairs, f"{STORE}={port}"]
        command = ground.command([sys.executable, "-m", "tools.hosts.front", *words])
        with subprocess.Popen(command, cwd=ROOT):
            try:
                yield
            finally:
                ground.kill()


def _copy(to: Path) -> None:
    """What git has of the code, as it is now; the environment is shared, and only read."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, to / name)
    (to / ".venv").symlink_to(ROOT / ".venv")
