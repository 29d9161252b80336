"""The checker's process dies, hangs or is killed: what becomes of its file and of the next one."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from services.worker.results import checker as module
from services.worker.results.checker import running_checker
from shared.errors import BadResult, StorageFailed
from shared.jobs.assets import KINDS
from shared.jobs.states import Step
from tests.fixtures.proc import children, gone
from tests.services.worker import samples
from tests.services.worker.results.children import child_that, pid_of, put, stuck, there


@pytest.mark.parametrize("killed", [1, 2])
async def test_a_file_is_tried_again_where_its_check_was_killed_and_bad_when_it_was_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: int
) -> None:
    monkeypatch.setattr(module, "COMMAND", child_that(stuck(killed)))
    path = put(tmp_path, samples.png())
    async with running_checker() as checker:
        checking = asyncio.create_task(checker.check(path, Step.IMAGE, KINDS[Step.IMAGE]))
        for number in range(killed):
            await there(path.with_suffix(f".{number}"))
            os.kill(await pid_of(checker), signal.SIGKILL)
        if killed == 1:
            await checking
        else:
            with pytest.raises(BadResult, match="twice"):
                await checking
            await checker.check(path, Step.IMAGE, KINDS[Step.IMAGE])


@pytest.mark.parametrize(
    "does",
    [
        "while True: pass",
        "taken = bytearray(2**30)",
        "os.abort()",
        "print('{}', flush=True)",
        "print('x' * 200_000, flush=True)",
    ],
)
async def test_a_child_that_overruns_or_babbles_makes_the_file_a_bad_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    monkeypatch.setattr(module, "COMMAND", child_that(does))
    # Each ends by what it may not do, and not because time is up.
    monkeypatch.setattr(module, "WALL_SECONDS", 3600)
    async with running_checker() as checker:
        with pytest.raises(BadResult, match="twice"):
            await checker.check(put(tmp_path, samples.png()), Step.IMAGE, KINDS[Step.IMAGE])


async def test_one_that_takes_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMAND", child_that(stuck(2)))
    monkeypatch.setattr(module, "WALL_SECONDS", 0.2)
    others = set(children(os.getpid()))
    async with running_checker() as checker:
        path = put(tmp_path, samples.png())
        with pytest.raises(BadResult, match="twice"):
            await checker.check(path, Step.IMAGE, KINDS[Step.IMAGE])
        monkeypatch.undo()
        await checker.check(path, Step.IMAGE, KINDS[Step.IMAGE])
        assert set(children(os.getpid())) - others == {await pid_of(checker)}
    assert set(children(os.getpid())) == others


async def test_a_caller_that_gives_up_leaves_no_verdict_to_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMAND", child_that(stuck(1)))
    path = put(tmp_path, b"no image")
    async with running_checker() as checker:
        checking = asyncio.create_task(checker.check(path, Step.IMAGE, KINDS[Step.IMAGE]))
        await there(path.with_suffix(".0"))
        checking.cancel()
        await asyncio.gather(checking, return_exceptions=True)
        await checker.check(put(tmp_path, samples.png()), Step.IMAGE, KINDS[Step.IMAGE])


async def test_a_death_that_no_file_is_to_blame_for_is_none_of_the_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRIES", 1)
    path = put(tmp_path, samples.png())
    async with running_checker() as checker:
        await checker.check(path, Step.IMAGE, KINDS[Step.IMAGE])
        os.kill(await pid_of(checker), signal.SIGKILL)
        await checker._child.result().wait()
        await checker.check(path, Step.IMAGE, KINDS[Step.IMAGE])


async def test_where_no_child_begins_the_file_is_left_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, samples.png())
    with monkeypatch.context() as patch:
        patch.setattr(module, "COMMAND", ("false",))
        async with running_checker() as checker:
            for _ in range(2):
                with pytest.raises(StorageFailed, match="can't be checked"):
                    await checker.check(path, Step.IMAGE, KINDS[Step.IMAGE])
            patch.undo()
            await checker.check(path, Step.IMAGE, KINDS[Step.IMAGE])


PARENT = """
import asyncio, sys
from pathlib import Path
from services.worker.results import checker
from shared.jobs.assets import Kind
from shared.jobs.states import Step
from tests.services.worker.results.children import child_that, stuck

async def main():
    checker.COMMAND = child_that(stuck(1))
    async with checker.running_checker() as it:
        await it.check(Path(sys.argv[1]), Step.IMAGE, [Kind.PNG])

asyncio.run(main())
"""


async def test_a_child_ends_in_mid_check_when_its_parent_is_killed(tmp_path: Path) -> None:
    path = put(tmp_path, samples.png())
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, str(path))
    try:
        await there(path.with_suffix(".0"))
        [child] = children(parent.pid)
    finally:
        parent.kill()
        await parent.wait()
    await gone(child)
