"""Registers the fixtures that several folders share; no test is judged by its wall-clock time."""

from hypothesis import settings

pytest_plugins = [
    "tests.fixtures.temporal",
    "tests.fixtures.engine",
    "tests.fixtures.mocks",
    "tests.fixtures.small_disk",
]

settings.register_profile("project", deadline=None)
settings.load_profile("project")
