"""Registers the fixtures that several folders share; no test is judged by its wall-clock time.

Most tests wait for something, so two processes share the machine (`make test`). A file's tests stay
together, and so do all that start whole stacks, and all that run whole pipelines: one of each at a
time.
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
# What stays together, the longest first, so that nobody waits for it at the end.
TOGETHER = {
    "stacks": ("stack", "chaos", "control", "compose"),
    "pipelines": ("workflow", "services/semaphore"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests stay together, and put those first that take longest."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: [*TOGETHER, _group(item)].index(_group(item)))


def _group(item: pytest.Item) -> str:
    file = item.path.relative_to(TESTS).as_posix()
    return next((name for name, folders in TOGETHER.items() if file.startswith(folders)), file)
