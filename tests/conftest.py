"""Registers the fixtures that several folders share; no test is judged by its wall-clock time."""

import pytest
from hypothesis import settings

pytest_plugins = [
    "tests.fixtures.temporal",
    "tests.fixtures.engine",
    "tests.fixtures.mocks",
    "tests.fixtures.small_disk",
]

settings.register_profile("project", deadline=None)
settings.load_profile("project")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run side by side: a file's share their fixtures, whole stacks take turns."""
    for item in items:
        is_whole = any(item.get_closest_marker(name) for name in ("stack", "containers"))
        group = "whole stacks" if is_whole else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))
