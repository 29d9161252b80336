"""The whole stack and a real nginx: before its Temporal, with client certificates or an API key,
and before its API and its callback receiver.

By hand, for nginx (1.25 or newer) is no part of this machine:
`.venv/bin/python -m pytest -q -p tests.fixtures.temporal tools/behind_nginx.py`.
"""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from compose.stack.machine import free_ports
from shared.jobs.tokens import callback_token
from tests.fixtures.streams import Authority
from tests.fixtures.temporal import Server
from tests.stack.driver import ENDED, ROOT, Stack, own_settings

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

FRONT = ROOT / "compose" / "cluster" / "front.conf.template"
PROXY = ROOT / "compose" / "proxy" / "nginx.conf.template"
API_NAME, CALLBACK_NAME = "video.example", "callbacks.example"
TOKEN, SECRET = "t" * 16, "s" * 32
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
Front = Callable[..., AbstractContextManager["Nginx"]]
NOWHERE: Mapping[str, str] = {}


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
    """Where it answers, and how it is configured."""

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
    def started(template: str, addresses: Mapping[str, str] = NOWHERE) -> Iterator[Nginx]:
        [port] = free_ports(1)
        told = {
            "FRONT_LISTEN": f"127.0.0.1:{port}",
            "FRONT_SERVER": temporal_server.address,
            "FRONT_CERTIFICATES": str(tmp_path),
            "KEY": KEY,
            "NAMESPACE": namespace(tmp_path),
            "FRONT_LOG": str(tmp_path / "access.log"),
            "FRONT_ERRORS": str(tmp_path / "error.log"),
            "FRONT_API_NAME": API_NAME,
            "FRONT_CALLBACK_NAME": CALLBACK_NAME,
            **addresses,
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
    """A stack that uses a server elsewhere; nothing of it is left behind."""
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
            assert code_of_a_submit(own) == "temporal_refuses"
            nginx.change(WITH_A_KEY)
            ended = until_ended(own, job)
            assert (ended["status"], ended["attempts"]) == ("succeeded", {"image": 1, "video": 1})
            mine = [row["external_id"] for row in own.ledger() if job in row["external_id"]]
            assert sorted(mine) == [f"{job}.image.1", f"{job}.video.1"]


def code_of_a_submit(stack: Stack) -> str:
    """Once it isn't taken any more: the answer to a caller, without Retry-After."""
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


def test_the_api_and_the_receiver_behind_a_proxy(
    front: Front, authority: Authority, tmp_path: Path
) -> None:
    own = own_settings(tmp_path, mode="local", project="unused") | {
        "API_PUBLIC_URL": f"https://{API_NAME}",
        "API_TOKEN": TOKEN,
        "CALLBACK_URL": f"https://{CALLBACK_NAME}",
        "CALLBACK_SECRET": SECRET,
    }
    found = Stack(own)
    hosts = {
        "FRONT_API": f"127.0.0.1:{own['API_PORT']}",
        "FRONT_CALLBACK": f"127.0.0.1:{own['CALLBACK_PORT']}",
    }
    trusted = ssl.create_default_context(cafile=str(authority.root))
    try:
        found.make("up")
        with front(PROXY.read_text(encoding="utf-8"), hosts) as nginx:
            url = f"https://{nginx.address}"
            with httpx.Client(base_url=url, verify=trusted, timeout=60) as http:
                job = serves_the_api(http, nginx.address, trusted)
                takes_callbacks(http, job)
                stays_closed(http)
                ends_what_is_slow(nginx.address, trusted)
            said = "".join(path.read_text() for path in tmp_path.glob("*.log"))
            assert '200 "POST /callback/kling"' in said
            assert "token=" not in said
    finally:
        found.make("clean", "YES=1")


def serves_the_api(http: httpx.Client, address: str, trusted: ssl.SSLContext) -> str:
    """With its token, live events and sockets, too; the job that was made."""
    here = {"Host": API_NAME, "Origin": f"https://{API_NAME}"}
    ours = {**here, "Authorization": f"Bearer {TOKEN}"}
    assert http.get("/", headers=here).status_code == 200
    assert http.get("/jobs", headers=here).status_code == 401
    foreign = {**ours, "Origin": "https://evil.example"}
    order = {"prompt": "a fox", "style": "ink"}
    assert http.post("/jobs", json=order, headers=foreign).status_code == 403
    made = http.post("/jobs", json=order, headers=ours)
    assert made.status_code == 202
    assert made.headers["location"].startswith(f"https://{API_NAME}/jobs/")
    job = str(made.json()["job_id"])
    with http.stream("GET", f"/jobs/{job}/events", headers=ours) as events:
        assert '"status":"succeeded"' in "".join(events.iter_text())
    host, port = address.split(":")
    key = {"Authorization": ours["Authorization"]}
    with socket.create_connection((host, int(port))) as plain:
        sock = trusted.wrap_socket(plain, server_hostname="127.0.0.1")
        with connect(f"ws://{API_NAME}/ws/jobs/{job}", sock=sock, additional_headers=key) as ws:
            assert '"succeeded"' in ws.recv(timeout=30)
    body = {"prompt": "x" * 2**20, "style": ""}
    assert http.post("/jobs", json=body, headers=ours).status_code == 413
    assert http.get("/metrics", headers=ours).status_code == 404
    return job


def takes_callbacks(http: httpx.Client, job: str) -> None:
    """By their token, and nothing else."""
    here, task = {"Host": CALLBACK_NAME}, f"{job}.video.1"
    body = {"task_id": "1", "task_status": "succeed", "updated_at": 1}
    for token, status in ((callback_token(SECRET, task), 200), ("wrong", 404)):
        query = {"task": task, "token": token}
        answer = http.post("/callback/kling", params=query, json=body, headers=here)
        assert answer.status_code == status
    assert http.get("/callback/kling", headers=here).status_code == 403
    for path in ("/callbacks", "/metrics", "/docs", "/healthz"):
        assert http.get(path, headers=here).status_code == 404


def stays_closed(http: httpx.Client) -> None:
    """To names of neither."""
    with pytest.raises(httpx.RemoteProtocolError):
        http.get("/", headers={"Host": "evil.example"})


def ends_what_is_slow(address: str, trusted: ssl.SSLContext) -> None:
    """A head that never ends, and more connections than one address has."""
    host, port = address.split(":")

    def opened() -> ssl.SSLSocket:
        plain = socket.create_connection((host, int(port)), timeout=60)
        return trusted.wrap_socket(plain, server_hostname="127.0.0.1")

    with opened() as slow:
        slow.sendall(f"GET / HTTP/1.1\r\nHost: {API_NAME}\r\nX: ".encode())
        assert slow.recv(1) == b""
    head = f"GET /ws/jobs HTTP/1.1\r\nHost: {API_NAME}\r\nAuthorization: Bearer {TOKEN}\r\n"
    head += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    head += "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    sockets, statuses = [], []
    try:
        for _ in range(101):
            sockets.append(opened())
            sockets[-1].sendall(head.encode())
            statuses.append(sockets[-1].recv(12).decode()[9:])
    finally:
        for each in sockets:
            each.close()
    assert statuses == ["101"] * 100 + ["503"]
