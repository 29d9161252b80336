"""Registers the fixtures that several folders share; no test is judged by its wall-clock time.

Most tests wait for something, so several processes share the machine (`make test` says how many). A
file's tests stay together, and so do all that start whole stacks, of which there is one at a time.
"""

from pathlib import Path

import pytest
from hypothesis import settings

# What a helper asserts is told as what a test asserts.
pytest.register_assert_rewrite("tests.chaos", "tests.services", "tests.stack", "tests.workflow")

pytest_plugins = [
    "tests.fixtures.temporal",
    "tests.fixtures.engine",
    "tests.fixtures.mocks",
    "tests.fixtures.small_disk",
]

settings.register_profile("project", deadline=None)
settings.load_profile("project")

TESTS = Path(__file__).parent
# The longest first, so that nobody waits for them at the end.
STACKS = ("stack", "chaos", "control", "compose")
LONG = ("workflow", "simulation", "services/semaphore")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests stay together, and put those that take longest first."""
    for item in items:
        folder = item.path.relative_to(TESTS).as_posix()
        group = "stacks" if folder.startswith(STACKS) else folder
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    folder = item.path.relative_to(TESTS).as_posix()
    return 0 if folder.startswith(STACKS) else 1 if folder.startswith(LONG) else 2
