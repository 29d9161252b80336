"""The server as both modes start it: what a page could do to it, by any port and any name."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from compose.stack.machine import free_ports
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import children, gone

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = "evil.example"
LISTENING = "0A"
START = '{"workflowType":{"name":"X"},"taskQueue":{"name":"q"},"requestId":"r"}'
WORKFLOWS = "/api/v1/namespaces/default/workflows"


class Server:
    """`temporal.sh` on ports of its own."""

    def __init__(self, data: Path) -> None:
        self.port, self.ui_port = free_ports(2)
        (data / "temporal").mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [ROOT / "compose" / "temporal.sh"],
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "DATA_DIR": str(data),
                "TEMPORAL_PORT": str(self.port),
                "TEMPORAL_UI_PORT": str(self.ui_port),
                "TEMPORAL_UI_URL": "https://ui.example",
            },
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def ui(self) -> str:
        return f"http://127.0.0.1:{self.ui_port}"

    def listens(self) -> set[tuple[str, int]]:
        """Each address that the server process itself takes connections at."""
        links = set()
        for link in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                links.add(os.readlink(link))
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return {
            _address(row[1])
            for row in rows
            if row[3] == LISTENING and f"socket:[{row[9]}]" in links
        }


def _address(text: str) -> tuple[str, int]:
    host, port = text.split(":")
    return ".".join(str(byte) for byte in reversed(bytes.fromhex(host))), int(port, 16)


async def status(client: httpx.AsyncClient, url: str) -> int:
    with contextlib.suppress(httpx.HTTPError):
        return (await client.get(url)).status_code
    return 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests, the last of which ends it."""
    found = Server(tmp_path_factory.mktemp("temporal"))

    async def answers() -> None:
        async with httpx.AsyncClient() as client:
            await eventually(lambda: status(client, found.ui + WORKFLOWS), lambda it: it == 200)

    try:
        asyncio.run(answers())
        yield found
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(found.process.pid, signal.SIGKILL)
        found.process.wait()


async def workflows(server: Server) -> list[str]:
    async with httpx.AsyncClient(base_url=server.ui, timeout=60) as client:
        found = (await client.get(WORKFLOWS)).json()
    return [each["execution"]["workflowId"] for each in found.get("executions", [])]


async def test_web_page_cannot_start_a_workflow_through_the_server(server: Server) -> None:
    answered = set()
    for host, port in server.listens():
        if host != "127.0.0.1":
            continue
        for name in (f"127.0.0.1:{port}", "localhost", FOREIGN):
            for kind in ("text/plain", "application/x-www-form-urlencoded"):
                headers = {"Host": name, "Content-Type": kind, "Origin": f"http://{FOREIGN}"}
                url = f"http://127.0.0.1:{port}{WORKFLOWS}/by-{port}"
                async with httpx.AsyncClient(timeout=60) as client:
                    with contextlib.suppress(httpx.HTTPError):
                        answer = await client.post(url, content=START, headers=headers)
                        answered.add(answer.status_code)
    # That of the HTTP API, and that of the metrics, which knows no such path.
    assert answered == {403, 404}
    assert await workflows(server) == []


async def test_ui_is_not_at_a_guessable_address(server: Server) -> None:
    (place,) = {place for place in server.listens() if place[0] != "127.0.0.1"}
    async with httpx.AsyncClient() as client:
        assert await status(client, f"http://{place[0]}:{place[1]}/healthz") == 200
    assert ("127.0.0.1", server.ui_port) not in server.listens()


async def test_ui_works_for_its_own_page_and_behind_its_public_name(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.ui, timeout=60) as client:
        own = {"Origin": server.ui, "Sec-Fetch-Site": "same-origin"}
        assert (await client.post(f"{WORKFLOWS}/own", content=START, headers=own)).is_success
        public = {"Host": "ui.example", "Origin": "https://ui.example"} | {
            "Sec-Fetch-Site": "same-origin"
        }
        assert (await client.post(f"{WORKFLOWS}/public", content=START, headers=public)).is_success
        assert "<!doctype html>" in (await client.get("/namespaces/default/workflows")).text
    assert sorted(await workflows(server)) == ["own", "public"]


async def test_proxy_of_the_ui_restarts_and_ends_with_the_server(
    server: Server,
) -> None:
    (keeper,) = children(server.process.pid)
    (first,) = children(keeper)
    os.kill(first, signal.SIGKILL)
    await gone(first)
    async with httpx.AsyncClient() as client:
        await eventually(lambda: status(client, f"{server.ui}/healthz"), lambda it: it == 200)
    (second,) = children(keeper)
    server.process.kill()
    server.process.wait()
    await gone(second)
    await gone(keeper)
