"""The whole stack with its Temporal behind a real nginx: client certificates, and an API key.

By hand, for nginx (1.25 or newer) is no part of this machine:
`.venv/bin/python -m pytest -q -p tests.fixtures.temporal tools/behind_nginx.py`.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from compose.stack.machine import free_ports
from tests.fixtures.streams import Authority
from tests.fixtures.temporal import Server
from tests.stack.driver import ENDED, ROOT, Stack, own_settings

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

FRONT = ROOT / "compose" / "cluster" / "front.conf.template"
NAME = "temporal.example"
KEY = "sesame"
HEAD = """daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
  map_hash_bucket_size 256;
  access_log {folder}/access.log;
  client_body_temp_path {folder}/b;
  proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u;
  scgi_temp_path {folder}/s;
  include {folder}/front.conf;
}}
"""
# As Temporal Cloud: who has the key may use one namespace, and change nothing about it.
WITH_A_KEY = """
map "$http_authorization $http_temporal_namespace" $may {
  default no;
  "Bearer ${KEY} ${NAMESPACE}" yes;
}
server {
  listen ${FRONT_LISTEN} ssl;
  http2 on;
  ssl_certificate ${FRONT_CERTIFICATES}/server.pem;
  ssl_certificate_key ${FRONT_CERTIFICATES}/server.key;
  location = /temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo {
    if ($http_authorization != "Bearer ${KEY}") { return 403; }
    grpc_pass grpc://${FRONT_SERVER};
    error_page 403 = @denied;
  }
  location / {
    if ($may = no) { return 403; }
    grpc_pass grpc://${FRONT_SERVER};
    grpc_read_timeout 120s;
    error_page 403 = @denied;
  }
  location @denied {
    default_type application/grpc;
    add_header grpc-status 7 always;
    add_header grpc-message "Request unauthorized." always;
    return 200;
  }
}
"""
Front = Callable[[str], AbstractContextManager["Nginx"]]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Of the server and of its clients; its files are where nginx looks for them."""
    made = Authority(tmp_path)
    shown = made.signed(NAME)
    shown.cert.rename(tmp_path / "server.pem")
    shown.key.rename(tmp_path / "server.key")
    shutil.copy(made.root, tmp_path / "clients-ca.pem")
    return made


@dataclass(frozen=True)
class Nginx:
    """Where it answers, and how it is told something else."""

    address: str
    write: Callable[[str], None]
    process: subprocess.Popen[bytes]

    def change(self, template: str) -> None:
        """It goes on by this one, and ends the connections of the one before."""
        self.write(template)
        self.process.send_signal(signal.SIGHUP)


@pytest.fixture
def front(temporal_server: Server, authority: Authority, tmp_path: Path) -> Front:
    """Starts nginx with a configuration."""

    @contextmanager
    def started(template: str) -> Iterator[Nginx]:
        [port] = free_ports(1)
        told = {
            "FRONT_LISTEN": f"127.0.0.1:{port}",
            "FRONT_SERVER": temporal_server.address,
            "FRONT_CERTIFICATES": str(tmp_path),
            "KEY": KEY,
            "NAMESPACE": namespace(tmp_path),
        }

        def write(text: str) -> None:
            for name, value in told.items():
                text = text.replace(f"${{{name}}}", value)
            (tmp_path / "front.conf").write_text(text, encoding="utf-8")

        write(template)
        main = tmp_path / "nginx.conf"
        main.write_text(HEAD.format(folder=tmp_path), encoding="utf-8")
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program, "apt-get install nginx-light"
        command = [program, "-p", str(tmp_path), "-c", str(main)]
        subprocess.run([*command, "-t"], check=True)
        nginx = subprocess.Popen(command)
        try:
            yield Nginx(f"127.0.0.1:{port}", write, nginx)
        finally:
            nginx.terminate()
            nginx.wait()

    return started


def namespace(folder: Path) -> str:
    """One of the test's own."""
    return f"{folder.name.replace('_', '-')}.a1b2c"


@contextmanager
def stack(folder: Path, authority: Authority, **settings: str) -> Iterator[Stack]:
    """A stack that is told of a server elsewhere; nothing of it is left behind."""
    own = own_settings(folder, mode="local", project="unused")
    trusted = {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(authority.root)}
    found = Stack(own | trusted | {"TEMPORAL_NAMESPACE": namespace(folder)} | settings)
    try:
        yield found
    finally:
        found.make("clean", "YES=1")


def run(commands: list[str]) -> None:
    """As they were printed, by who may."""
    env = {"PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}", "HOME": os.environ["HOME"]}
    for command in commands:
        subprocess.run(command, shell=True, check=True, env=env, timeout=60)  # noqa: S602


def printed(told: str) -> list[str]:
    return [line.strip() for line in told.splitlines() if line.startswith("  temporal ")]


def test_with_client_certificates(front: Front, authority: Authority, tmp_path: Path) -> None:
    ours = authority.signed("stack")
    pair = {
        "TEMPORAL_TLS_CLIENT_CERT_PATH": str(ours.cert),
        "TEMPORAL_TLS_CLIENT_KEY_PATH": str(ours.key),
    }
    with front(FRONT.read_text(encoding="utf-8")) as nginx:
        address = nginx.address
        with stack(tmp_path, authority, TEMPORAL_ADDRESS=address) as stranger:
            told = stranger.make("up", good=False)
            assert "does it want a client certificate" in told
        with stack(tmp_path, authority, TEMPORAL_ADDRESS=address, **pair) as own:
            told = own.make("up", good=False)
            assert f"Temporal has no namespace {namespace(tmp_path)}: nothing was started" in told
            assert "Temporal has no namespace" in own.make("doctor", good=False)
            run(printed(told)[:1])
            made = own.make("namespace")
            assert "made: search attribute CustomProgress (Int)" in made
            assert "made: namespace" not in made
            own.make("up")
            own.make("test-5")


def test_with_a_key_that_may_mend_nothing_and_is_changed_while_a_job_runs(
    front: Front, authority: Authority, tmp_path: Path, temporal_server: Server
) -> None:
    with front(WITH_A_KEY) as nginx:
        elsewhere = {"TEMPORAL_ADDRESS": nginx.address, "MOCK_SPEED": "4"}
        with stack(tmp_path, authority, TEMPORAL_API_KEY="wrong", **elsewhere) as own:
            assert "Temporal refuses access" in own.make("up", good=False)
        with stack(tmp_path, authority, TEMPORAL_API_KEY=KEY, **elsewhere) as own:
            assert "Temporal has no namespace" in own.make("up", good=False)
            told = own.make("namespace", good=False)
            assert "we may not mend it (Request unauthorized.)" in told
            run([_inside(each, temporal_server, nginx.address) for each in printed(told)])
            own.make("up")
            job = own.submit("a fox")
            own.follow(job, until=["image"])
            nginx.change(WITH_A_KEY.replace("${KEY}", "another"))
            assert code_of_a_submit(own) == "temporal_forbids"
            nginx.change(WITH_A_KEY)
            ended = until_ended(own, job)
            assert (ended["status"], ended["attempts"]) == ("succeeded", {"image": 1, "video": 1})
            mine = [row["external_id"] for row in own.ledger() if job in row["external_id"]]
            assert sorted(mine) == [f"{job}.image.1", f"{job}.video.1"]


def code_of_a_submit(stack: Stack) -> str:
    """Once it isn't taken any more: what a caller is told, without being told to come back."""
    url = f"{stack.url('API_PORT')}/jobs"
    while True:
        answer = httpx.post(url, json={"prompt": "x", "style": "ink"}, timeout=60)
        if answer.status_code == 503 and "retry-after" not in answer.headers:
            return str(answer.json()["code"])
        time.sleep(1)


def until_ended(stack: Stack, job_id: str) -> dict[str, Any]:
    """A job at its end; Temporal may be away meanwhile."""
    while True:
        answer = httpx.get(f"{stack.url('API_PORT')}/jobs/{job_id}", timeout=60)
        if answer.status_code == 200 and answer.json()["status"] in ENDED:
            return dict(answer.json())
        time.sleep(1)


def _inside(command: str, server: Server, address: str) -> str:
    """The same by who needs no key, for the server is his."""
    return command.replace(address, server.address).partition(" --tls-ca-path")[0]
