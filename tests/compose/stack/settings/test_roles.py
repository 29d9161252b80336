"""Parts of the stack alone: which run here, and what those elsewhere must have in common."""

import pytest

from compose.stack.errors import StackError
from compose.stack.machine import ports
from compose.stack.modes import readiness
from compose.stack.settings.environment import local_service
from tests.compose.stack.conftest import Load

ELSEWHERE = {
    "TEMPORAL_ADDRESS": "temporal.example:7233",
    "CALLBACK_SECRET": "a-secret-of-32-characters-or-more",
    "STACK": "ours",
}


def test_without_roles_all_run(settings: Load) -> None:
    found = settings()
    assert [part.name for part in found.parts] == [
        *("temporal", "mock-comfyui", "mock-kling", "semaphore", "worker", "callback", "api")
    ]


@pytest.mark.parametrize(
    ("roles", "parts"),
    [
        ("worker", ["worker"]),
        ("api, callback", ["callback", "api"]),
        ("mock-kling", ["mock-kling"]),
    ],
)
def test_no_more_runs_than_is_named(settings: Load, roles: str, parts: list[str]) -> None:
    found = settings(**ELSEWHERE, ROLES=roles, WORKERS="2")
    assert [part.name for part in found.parts] == parts
    expected = {part: 2 if part == "worker" else 1 for part in parts}
    assert readiness.expected(found) == expected
    needed = ports.wanted(found, containers=False, running=[])
    assert len(needed) == sum(expected.values())


def test_a_server_alone_needs_nothing(settings: Load) -> None:
    assert [part.name for part in settings(ROLES="temporal").parts] == ["temporal"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ROLES": "worker,api2"}, "names api2; known are temporal, mock-comfyui, mock-kling"),
        ({"ROLES": "worker"}, "needs TEMPORAL_ADDRESS where temporal is not among them"),
        (ELSEWHERE | {"ROLES": "temporal"}, "names temporal, which is elsewhere by the settings"),
    ],
)
def test_what_can_not_be_is_one_line(settings: Load, given: dict[str, str], said: str) -> None:
    with pytest.raises(StackError) as refused:
        settings(**given)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("roles", "needed"),
    [
        ("worker", ["CALLBACK_SECRET", "STACK"]),
        ("callback", ["CALLBACK_SECRET"]),
        ("semaphore", ["STACK"]),
        ("mock-kling", []),
    ],
)
def test_nothing_is_made_up_that_others_must_know(
    settings: Load, roles: str, needed: list[str]
) -> None:
    given = {"TEMPORAL_ADDRESS": "temporal.example:7233", "ROLES": roles}
    if not needed:
        settings(**given)
        return
    with pytest.raises(StackError) as refused:
        settings(**given)
    for name in ELSEWHERE:
        assert (f"needs {name}, the same for all" in str(refused.value)) == (name in needed)


@pytest.mark.parametrize("address", ["127.0.0.1:7300", "localhost:7300", "[::1]:7300"])
def test_on_one_machine_they_are_made_once_for_all(settings: Load, address: str) -> None:
    found = settings(TEMPORAL_ADDRESS=address, ROLES="worker")
    assert len(local_service(found, "worker")["CALLBACK_SECRET"]) >= 32
