"""Which engine is good enough, and which ports are wanted and free."""

from pathlib import Path

import pytest

from compose.stack import machine
from compose.stack.given import Saved
from compose.stack.services import DEFAULT_PORTS, NAMES
from tests.compose.stack.conftest import Load


def test_versions() -> None:
    texts = ("26.1.5+dfsg1", "v2.26.1-4", "29", "")
    assert [*map(machine.numbers, texts)] == [(26, 1), (2, 26), (29, 0), (0, 0)]


@pytest.mark.parametrize(
    ("version", "compose", "said"),
    [
        (None, None, "no Docker engine answers"),
        ("24.0.7", (("docker", "compose"), "2.26"), "25 or newer is needed"),
        ("26.1.5", None, "Docker Compose 2.21 or newer is missing"),
        ("26.1.5", (("docker", "compose"), "2.26"), None),
    ],
)
def test_missing_requirements(
    monkeypatch: pytest.MonkeyPatch,
    version: str | None,
    compose: tuple[tuple[str, ...], str] | None,
    said: str | None,
) -> None:
    monkeypatch.setattr(machine, "engine_version", lambda: version)
    monkeypatch.setattr(machine, "compose", lambda: compose)
    reason = machine.missing()
    assert (reason is None) == (said is None)
    assert (said or "") in (reason or "")


PUBLISHED = {
    7233: "TEMPORAL_PORT",
    8080: "TEMPORAL_UI_PORT",
    6889: "COMFYUI_PORT",
    16882: "KLING_PORT",
    8001: "CALLBACK_PORT",
    8000: "API_PORT",
}
INNER = {9099: "SEMAPHORE_HTTP_PORT", 9100: "WORKER_HTTP_PORT", 9101: "WORKER_HTTP_PORT"}
ELSEWHERE = {"MOCKS": "off", "COMFYUI_URL": "http://a", "KLING_URL": "http://b"}


@pytest.mark.parametrize(
    ("given", "containers", "running", "wanted"),
    [
        ({"WORKERS": "2"}, False, [], PUBLISHED | INNER),
        # Containers keep the inner ports to themselves.
        ({"WORKERS": "2"}, True, [], PUBLISHED),
        (ELSEWHERE | {"TEMPORAL_ADDRESS": "t:1"}, True, ["api"], {8001: "CALLBACK_PORT"}),
        (
            {"WORKERS": "3", "ROLES": "temporal,worker,semaphore"},
            False,
            ["temporal", "worker", "semaphore", "worker"],
            {9102: "WORKER_HTTP_PORT"},
        ),
    ],
)
def test_ports_of_stopped_services_are_wanted(
    settings: Load,
    given: dict[str, str],
    *,
    containers: bool,
    running: list[str],
    wanted: dict[int, str],
) -> None:
    found = machine.wanted_ports(settings(**given), containers=containers, running=running)
    assert found == wanted


def test_running_services_want_the_ports_that_they_do_not_have(settings: Load, root: Path) -> None:
    held = dict(settings().ports)
    Saved(mode="local", ports=held).write(root / "data/run")
    moved = settings(API_PORT="8100", TEMPORAL_UI_PORT="8180", WORKERS="2", WORKER_HTTP_PORT="9101")
    running = [*NAMES, "worker"]
    found = machine.wanted_ports(moved, containers=False, running=running)
    assert found == {8100: "API_PORT", 8180: "TEMPORAL_UI_PORT", 9102: "WORKER_HTTP_PORT"}


def test_ports_of_a_stack_are_consecutive_and_not_ephemeral() -> None:
    """With room for its workers behind the last one."""
    found = machine.ports_of_a_stack(workers=3)
    assert set(found) == set(DEFAULT_PORTS)
    first = found["WORKER_HTTP_PORT"]
    assert first == max(found.values())
    assert sorted(found.values()) == list(range(min(found.values()), first + 1))
    assert min(found.values()) >= machine.LOWEST
    # The lower end is the machine's own word for what it gives to connections.
    given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert first + 2 < given


def test_ports_are_given_once_and_again_later() -> None:
    """Two stacks that start side by side would else take the same, which neither listens on yet; a
    process that starts many does not run out of them."""
    for _ in range(10):
        given = [port for _ in range(20) for port in machine.free_ports(25)]
        assert len(given) == len({*given})
