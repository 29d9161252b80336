"""Ports that are wanted, and ports that somebody else has."""

import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.stack.errors import USAGE, StackError
from compose.stack.machine import ports
from compose.stack.services import DEFAULT_PORTS
from tests.compose.stack.conftest import Load


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_every_port_is_wanted_with_its_variable(settings: Load) -> None:
    wanted = ports.wanted(settings(WORKERS="2"), containers=False, running=())
    assert wanted[7233] == "TEMPORAL_PORT"
    assert wanted[8080] == "TEMPORAL_UI_PORT"
    assert {number for number, name in wanted.items() if name == "WORKER_HTTP_PORT"} == {9100, 9101}
    assert len(wanted) == 9


def test_containers_keep_the_inner_ports_to_themselves(settings: Load) -> None:
    wanted = ports.wanted(settings(), containers=True, running=())
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
    wanted = ports.wanted(found, containers=True, running=["api"])
    assert wanted == {8001: "CALLBACK_PORT"}


def test_more_workers_than_run_want_only_the_ports_of_the_new_ones(settings: Load) -> None:
    wanted = ports.wanted(
        settings(WORKERS="3"), containers=False, running=["worker", "semaphore", "worker"]
    )
    assert 9102 in wanted
    assert not {9100, 9101} & set(wanted)


def test_a_taken_port_is_named_with_its_variable(settings: Load, taken: int) -> None:
    with pytest.raises(StackError) as caught:
        ports.refuse_taken(settings(), {taken: "API_PORT"})
    assert f"port {taken} (API_PORT)" in str(caught.value)
    assert caught.value.status == USAGE


def test_a_free_port_is_fine(settings: Load, taken: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        was_free: int = server.getsockname()[1]
    ports.refuse_taken(settings(), {was_free: "API_PORT"})
    assert not ports.free("127.0.0.1", taken)


def test_free_ports_follow_one_another_where_no_connection_gets_one() -> None:
    found = ports.free_ports(5)
    assert found == list(range(found[0], found[0] + 5))
    assert found[0] >= ports.LOWEST
    # The lower end is the machine's own word for what it gives to connections.
    given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert found[-1] < given


def test_taken_ports_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = iter([0, 1])
    monkeypatch.setattr(secrets, "randbelow", lambda _: next(offered))
    monkeypatch.setattr(ports, "free", lambda _, port: port != ports.LOWEST)
    assert ports.free_ports(2) == [ports.LOWEST + 1, ports.LOWEST + 2]


def test_the_ports_of_a_stack_leave_room_for_its_workers() -> None:
    found = ports.ports_of_a_stack(workers=3)
    assert set(found) == set(DEFAULT_PORTS)
    others = {port for name, port in found.items() if name != "WORKER_HTTP_PORT"}
    first = found["WORKER_HTTP_PORT"]
    assert not others & {first, first + 1, first + 2}
