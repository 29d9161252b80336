"""Registers the fixtures that several folders share; no test is judged by its wall-clock time.

Most tests wait for something, so four processes share the machine (`make test`). A file's tests
stay together, and so do all that start containers.
"""

import gc
import os
from collections.abc import Generator

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
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

CONTAINERS = ("chaos/test_containers", "stack/test_containers")
# What takes long comes before all else, so that nobody waits for it at the end; what starts whole
# stacks of processes is not all begun at once.
LONG = (
    "containers",
    "stack/test_local",
    "chaos/test_chaos",
    "workflow",
    "stack",
    "control",
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
    items.sort(key=lambda item: _place(_group(item.nodeid)))


def _place(group: str) -> int:
    return next((i for i, name in enumerate(LONG) if group.startswith(name)), len(LONG))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Where tests run side by side; xdist 3.8 has the like, and pytest 9.2 does not go with it."""
    return ByGroup(config, log)


class ByGroup(LoadScopeScheduling):
    """A group goes to one process; a test that its process has not outlived is not begun again."""

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

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)


def _group(nodeid: str) -> str:
    file = nodeid.partition("::")[0].removeprefix("tests/")
    return "containers" if file.startswith(CONTAINERS) else file
