"""Which engine is good enough, which ports are wanted, and which somebody else has."""

import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.stack import machine
from compose.stack.services import DEFAULT_PORTS
from tests.compose.stack.conftest import Load


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("26.1.5+dfsg1", (26, 1)),
        ("v2.26.1-4", (2, 26)),
        ("2.20", (2, 20)),
        ("29", (29, 0)),
        ("5.0.0-rc.1", (5, 0)),
        ("", (0, 0)),
    ],
)
def test_versions(version: str, numbers: tuple[int, int]) -> None:
    assert machine.numbers(version) == numbers


@pytest.mark.parametrize(
    ("version", "compose", "said"),
    [
        (None, None, "no Docker engine answers"),
        ("24.0.7", (("docker", "compose"), "2.26"), "25 or newer is needed"),
        ("26.1.5", None, "Docker Compose 2.20 or newer is missing"),
        ("26.1.5", (("docker", "compose"), "2.26"), None),
    ],
)
def test_what_is_missing(
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


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_every_port_is_wanted_with_its_variable(settings: Load) -> None:
    wanted = machine.wanted_ports(settings(WORKERS="2"), containers=False, running=())
    assert wanted[7233] == "TEMPORAL_PORT"
    assert wanted[8080] == "TEMPORAL_UI_PORT"
    assert {number for number, name in wanted.items() if name == "WORKER_HTTP_PORT"} == {9100, 9101}
    assert len(wanted) == 9


def test_containers_keep_the_inner_ports_to_themselves(settings: Load) -> None:
    wanted = machine.wanted_ports(settings(), containers=True, running=())
    assert set(wanted.values()) == {
        "TEMPORAL_PORT",
        "TEMPORAL_UI_PORT",
        "COMFYUI_PORT",
        "KLING_PORT",
        "CALLBACK_PORT",
        "API_PORT",
    }


def test_what_runs_already_and_what_is_left_away_is_not_wanted(settings: Load) -> None:
    found = settings(
        MOCKS="off", COMFYUI_URL="http://a", KLING_URL="http://b", TEMPORAL_ADDRESS="t:1"
    )
    wanted = machine.wanted_ports(found, containers=True, running=["api"])
    assert wanted == {8001: "CALLBACK_PORT"}


def test_more_workers_than_run_want_only_the_ports_of_the_new_ones(settings: Load) -> None:
    wanted = machine.wanted_ports(
        settings(WORKERS="3"), containers=False, running=["worker", "semaphore", "worker"]
    )
    assert 9102 in wanted
    assert not {9100, 9101} & set(wanted)


def test_who_has_a_port_is_asked_of_the_machine(taken: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        was_free: int = server.getsockname()[1]
    assert machine.is_free("127.0.0.1", was_free)
    assert not machine.is_free("127.0.0.1", taken)


def test_free_ports_follow_one_another_where_no_connection_gets_one() -> None:
    found = machine.free_ports(5)
    assert found == list(range(found[0], found[0] + 5))
    assert found[0] >= machine.LOWEST
    # The lower end is the machine's own word for what it gives to connections.
    given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert found[-1] < given


def test_taken_ports_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = iter([0, 1])
    monkeypatch.setattr(secrets, "randbelow", lambda _: next(offered))
    monkeypatch.setattr(machine, "is_free", lambda _, port: port != machine.LOWEST)
    assert machine.free_ports(2) == [machine.LOWEST + 1, machine.LOWEST + 2]


def test_the_ports_of_a_stack_leave_room_for_its_workers() -> None:
    found = machine.ports_of_a_stack(workers=3)
    assert set(found) == set(DEFAULT_PORTS)
    others = {port for name, port in found.items() if name != "WORKER_HTTP_PORT"}
    first = found["WORKER_HTTP_PORT"]
    assert not others & {first, first + 1, first + 2}
