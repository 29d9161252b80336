"""Registers the fixtures that several folders share; no test is judged by its wall-clock time.

Most tests wait for something, so four processes share the machine (`make test`). A file's tests
stay together.
"""

import gc
import os
from collections.abc import Generator

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

# What is said is compared in English, whatever the shell speaks.
os.environ["LC_ALL"] = "C.UTF-8"

# An assertion in a helper is reported like one in a test.
pytest.register_assert_rewrite("tests.chaos", "tests.services", "tests.stack", "tests.workflow")

pytest_plugins = [
    "tests.fixtures.browser",
    "tests.fixtures.harness",
    "tests.fixtures.mocks",
    "tests.fixtures.object_store",
    "tests.fixtures.small_disk",
    "tests.fixtures.temporal",
]

settings.register_profile("project", deadline=None)
settings.load_profile("project")

# What takes long comes before all else, so that nobody waits for it at the end; what starts whole
# stacks of processes is not all begun at once.
LONG = (
    "stack/test_containers",
    "stack/test_local",
    "chaos/test_chaos",
    "workflow",
    "stack",
    "mutants",
    "simulation",
    "shared/semaphore",
    "services/api/dashboard",
    "fuzz",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is read here stays; to look for garbage in it took a fifth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put those first that take longest."""
    items.sort(key=lambda item: _place(item.nodeid.removeprefix("tests/")))


def _place(test: str) -> int:
    return next((i for i, name in enumerate(LONG) if test.startswith(name)), len(LONG))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """Where tests run side by side; xdist 3.8 has the like, and pytest 9.2 does not go with it."""
    return ByFile(config, log)


class ByFile(LoadFileScheduling):
    """A file goes to one process; a test that its process has not outlived is not begun again."""

    def remove_node(self, node: WorkerController) -> str | None:
        """The test in which it ended, if any; what is left goes to others."""
        groups = self.assigned_work.pop(node)
        left = [(each, test) for each in groups.values() for test, done in each.items() if not done]
        if not left:
            return None
        group, ended = left[0]
        group[ended] = True
        self.workqueue.update({k: each for k, each in groups.items() if not all(each.values())})
        for other in self.nodes:
            self._reschedule(other)
        return ended
