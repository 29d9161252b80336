"""The whole stack with its Temporal behind a real nginx: client certificates, and an API key.

By hand, for nginx (1.25 or newer) is no part of this machine:
`.venv/bin/python -m pytest -q tests/stack/behind_nginx.py`.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from compose.stack.machine.ports import free_ports
from tests.fixtures.server import Server
from tests.fixtures.tls import Authority
from tests.stack.driver import ROOT, Stack, own_settings

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
Front = Callable[[str], AbstractContextManager[str]]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Of the server and of its clients; its files are where nginx looks for them."""
    made = Authority(tmp_path)
    shown = made.signed(NAME)
    shown.cert.rename(tmp_path / "server.pem")
    shown.key.rename(tmp_path / "server.key")
    shutil.copy(made.root, tmp_path / "clients-ca.pem")
    return made


@pytest.fixture
def front(temporal_server: Server, authority: Authority, tmp_path: Path) -> Front:
    """Starts nginx with a configuration; its `host:port`."""

    @contextmanager
    def started(template: str) -> Iterator[str]:
        [port] = free_ports(1)
        told = {
            "FRONT_LISTEN": f"127.0.0.1:{port}",
            "FRONT_SERVER": temporal_server.address,
            "FRONT_CERTIFICATES": str(tmp_path),
            "KEY": KEY,
            "NAMESPACE": namespace(tmp_path),
        }
        for name, value in told.items():
            template = template.replace(f"${{{name}}}", value)
        (tmp_path / "front.conf").write_text(template, encoding="utf-8")
        main = tmp_path / "nginx.conf"
        main.write_text(HEAD.format(folder=tmp_path), encoding="utf-8")
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program, "apt-get install nginx-light"
        command = [program, "-p", str(tmp_path), "-c", str(main)]
        subprocess.run([*command, "-t"], check=True)
        nginx = subprocess.Popen(command)
        try:
            yield f"127.0.0.1:{port}"
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
    with front(FRONT.read_text(encoding="utf-8")) as address:
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


def test_with_a_key_that_may_mend_nothing(
    front: Front, authority: Authority, tmp_path: Path, temporal_server: Server
) -> None:
    with front(WITH_A_KEY) as address:
        for key in ("wrong", KEY):
            settings = {"TEMPORAL_ADDRESS": address, "TEMPORAL_API_KEY": key}
            with stack(tmp_path, authority, **settings) as own:
                told = own.make("up", good=False)
                assert "Temporal does not let us in" in told or key == KEY
                if key != KEY:
                    continue
                assert "Temporal has no namespace" in told
                told = own.make("namespace", good=False)
                assert "we may not mend it (Request unauthorized.)" in told
                run([_inside(each, temporal_server, address) for each in printed(told)])
                own.make("up")
                own.make("test-1")


def _inside(command: str, server: Server, address: str) -> str:
    """The same by who needs no key, for the server is his."""
    return command.replace(address, server.address).partition(" --tls-ca-path")[0]
