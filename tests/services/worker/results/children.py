"""Children of the checker that misbehave, and what tests do with them."""

import asyncio
from pathlib import Path

from services.worker.results.checker import COMMAND, Checker
from tests.fixtures.eventually import eventually


def child_that(does: str) -> tuple[str, ...]:
    """The command of a child whose check does something first, with a `path` and a `step`."""
    code = f"""
import sys
sys.path.insert(0, sys.argv[1])
import os, pathlib, signal, threading
from services.worker.results import child, media, refusals
real = media.check
def check(path, step, kinds):
    {does}
    return real(path, step, kinds)
media.check = check
child.CPU_SECONDS = 1
child.main()
"""
    return (*COMMAND[:3], code, COMMAND[4])


def stuck(times: int) -> str:
    """It makes a file beside the one that it checks and hangs, so many times."""
    return f"""marks = [path.with_suffix(f'.{{n}}') for n in range({times})]
    mark = next((it for it in marks if not it.exists()), None)
    if mark: mark.touch(); threading.Event().wait()"""


def put(folder: Path, body: bytes) -> Path:
    path = folder / "result"
    path.write_bytes(body)
    return path


async def pid_of(checker: Checker) -> int:
    return (await asyncio.shield(checker._child)).pid


async def there(path: Path) -> None:
    await eventually(lambda: asyncio.to_thread(path.exists), bool)
