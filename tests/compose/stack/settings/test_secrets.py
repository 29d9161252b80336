"""The name that a stack gives itself."""

import re
from pathlib import Path

import pytest

from compose.stack.settings import environment, secrets
from compose.stack.settings.load import STACK_NAME
from tests.compose.stack.conftest import Load


def test_it_is_made_once_and_outlives_what_the_stack_was_told(settings: Load, root: Path) -> None:
    name = secrets.stack_name(settings())
    assert re.fullmatch(STACK_NAME, name)
    assert secrets.stack_name(settings()) == name
    assert not (root / "data/run").exists()
    (root / "data/secrets/stack").unlink()
    assert secrets.stack_name(settings()) != name


@pytest.mark.parametrize("damaged", ["", "No Name\n"])
def test_a_damaged_one_is_made_anew(settings: Load, root: Path, damaged: str) -> None:
    (root / "data/secrets").mkdir(parents=True)
    (root / "data/secrets/stack").write_text(damaged)
    name = secrets.stack_name(settings())
    assert re.fullmatch(STACK_NAME, name)
    assert secrets.stack_name(settings()) == name


def test_one_that_is_given_counts_and_writes_nothing(settings: Load, root: Path) -> None:
    assert secrets.stack_name(settings(STACK="mine")) == "mine"
    assert not (root / "data").exists()


def test_semaphore_and_worker_alone_are_told(settings: Load) -> None:
    found = settings(STACK="mine")
    services = ("api", "callback", "semaphore", "worker", "mock-comfyui", "mock-kling", "temporal")
    told = {
        name: stack
        for name in services
        if (stack := environment.local_service(found, name).get("STACK"))
    }
    assert told == {"semaphore": "mine", "worker": "mine"}
    assert environment.for_compose(found)["STACK"] == "mine"
    ours = settings()
    assert environment.local_service(ours, "semaphore")["STACK"] == secrets.stack_name(ours)
    assert environment.for_compose(ours)["STACK"] == secrets.stack_name(ours)
