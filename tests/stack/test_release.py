"""A release that can't go on with what is open is refused, and what runs doesn't notice it."""

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.stack.driver import ENDED, ROOT, Stack, own_settings

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

CODE = ("compose", "shared", "services", "loadtest", "requirements", "Makefile", ".env.example")
# A change of what a workflow does, in the one file and in the other.
JOBS = ("shared/pipeline/messages.py", 'ENTER_QUEUE = "enter_queue"', 'ENTER_QUEUE = "enter"')
SEMAPHORES = (
    "shared/semaphore/state.py",
    'SEMAPHORE_RULES = "semaphore_rules"',
    'SEMAPHORE_RULES = "rules"',
)
Change = tuple[str, str, str]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose code may be changed."""
    folder = tmp_path_factory.mktemp("release")
    root = folder / "clone"
    for name in CODE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, root / name)
    (root / ".venv").symlink_to(ROOT / ".venv")
    found = Stack(own_settings(folder, mode="local", project="unused"), root)
    try:
        yield found
    finally:
        found.make("clean", "YES=1")


def change(stack: Stack, made: Change, *, back: bool = False) -> None:
    name, before, after = made
    path = stack.root / name
    text = path.read_text(encoding="utf-8")
    known, new = (after, before) if back else (before, after)
    assert known in text
    path.write_text(text.replace(known, new), encoding="utf-8")


def pause(stack: Stack, *, paused: bool) -> None:
    answer = httpx.put(f"{stack.url('API_PORT')}/slots", json={"paused": paused}, timeout=60)
    assert answer.status_code == 200, answer.text


def waiting(stack: Stack) -> str:
    """A job that is open and does nothing until the pause is over."""
    pause(stack, paused=True)
    job_id = stack.submit("a fox in the queue")
    stack.follow(job_id, until={"queued"})
    return job_id


def goes_on(stack: Stack, job_id: str) -> None:
    pause(stack, paused=False)
    assert stack.follow(job_id, until=ENDED)["status"] == "succeeded"


def processes(stack: Stack) -> set[str]:
    return set(re.findall(r"pid (\d+)", stack.make("ps")))


def all_ready(stack: Stack) -> None:
    """Return when all that was killed is back; the test's own time limit ends the waiting."""
    while "all ready" not in stack.make("ps").splitlines():
        # To be asked takes processor from what is to come back.
        time.sleep(1)


def refused(stack: Stack, *said: str) -> None:
    """`make up` ends badly with one line of its own, and make's."""
    line, *others = stack.make("up", good=False).splitlines()
    for part in ("does not replay", "nothing was started or changed", *said):
        assert part in line, line
    assert all(other.startswith("make:") for other in others), others


def test_a_change_that_open_jobs_do_not_replay_with_waits_for_them(stack: Stack) -> None:
    stack.make("up")
    job_id = waiting(stack)
    before = processes(stack)
    change(stack, JOBS)
    refused(stack, "1 of 1 open jobs", job_id)
    assert processes(stack) == before
    # What dies is started again by the code that it was started from.
    dying = re.findall(r"(?:worker|semaphore).* pid (\d+)", stack.make("ps"))
    assert len(dying) == 2
    for pid in dying:
        os.kill(int(pid), signal.SIGKILL)
    all_ready(stack)
    goes_on(stack, job_id)

    job_id = waiting(stack)
    stack.make("down")
    refused(stack, "1 of 1 open jobs", job_id)
    assert "not running" in stack.make("ps")
    change(stack, JOBS, back=True)
    stack.make("up")
    goes_on(stack, job_id)

    # Nothing is open now that the change could break.
    change(stack, JOBS)
    stack.make("up")
    goes_on(stack, stack.submit("a fox of the new release"))


def test_a_semaphore_that_does_not_replay_is_rebuilt_where_that_is_said(stack: Stack) -> None:
    stack.make("up")
    job_id = waiting(stack)
    copies = Path(stack.settings["DATA_DIR"], "run", "code")
    before = {path.name for path in copies.iterdir()}
    change(stack, SEMAPHORES)
    refused(stack, "3 of 3 open semaphores", "FORCE=1", "rebuilds")
    stack.make("up", "FORCE=1")
    goes_on(stack, job_id)
    after = {path.name for path in copies.iterdir()}
    assert len(after) == len(before)
    assert len(after - before) == 1
