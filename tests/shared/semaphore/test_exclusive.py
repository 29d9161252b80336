"""The example, with the wheel alone in an environment of its own, on a server of its own."""

import asyncio
import sys

import pytest

from tests.shared.semaphore.test_clock import FOLDERS

ROOT = FOLDERS[0].parents[1]


@pytest.mark.stack
async def test_only_the_holder_works_whatever_dies() -> None:
    check = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "examples.exclusive.check"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await check.communicate()
    assert check.returncode == 0, said.decode()
    assert b"never two at work at once" in said
