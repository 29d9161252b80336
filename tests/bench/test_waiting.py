"""The lines of long queues and of the semaphore's intake, and whose memory is read."""

import socket

import pytest

from tests.bench.pipeline import intake, waiting
from tests.bench.pipeline.usage import listener, resident_of
from tests.bench.pipeline.waiting import Level

EMPTY = Level(0, 0.0, 0.0, 0.0, (), {"semaphore": 60.0, "server": 100.0})


def level(count: int, *seconds: float, semaphore: float, hop: float = 0.01) -> Level:
    memory = {"semaphore": semaphore, "server": 200.0}
    return Level(count, 50.0, 40.0, hop, seconds, memory)


def test_the_longest_queue_is_compared_with_the_shortest() -> None:
    found = [
        EMPTY,
        level(100, 0.01, 0.02, 0.03, semaphore=61),
        level(1_000, 0.5, semaphore=70),
        level(10_000, 0.022, semaphore=80, hop=0.02),
    ]
    lines = {figure.name: figure for figure in waiting.figures(found)}

    ratio = "hand-over, 10 000 waiting / 100 waiting"
    assert lines[ratio].value == 1.1
    assert lines[f"{ratio}, each in its own plain hops"].value == 0.55
    assert lines["hand-over, 100 waiting, p50"].values == (20.0,)
    assert lines["hand-over, 100 waiting, p50"].in_hops == 2
    assert lines["submissions taken by the API, up to 1 000"].value == 50
    assert lines["memory of semaphore, 0 waiting"].value == 60
    assert lines["memory of semaphore, 10 000 waiting"].value == 80


def test_both_ways_of_asking_have_their_line() -> None:
    lines = intake.figures([intake.Rates(35.0, 500.0), intake.Rates(45.0, 700.0)])

    assert [(each.name.rpartition(", ")[2], each.value) for each in lines] == [
        ("one by one", 40),
        ("in bulk", 600),
    ]


def test_the_server_is_found_by_its_port(unused: int) -> None:
    with socket.create_server(("127.0.0.1", unused)):
        pid = listener(unused)
        assert pid is not None
        assert resident_of(pid) > 10
    assert listener(unused) is None


@pytest.fixture
def unused() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
