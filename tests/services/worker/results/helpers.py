"""Children of the checker that misbehave, a checker without a child, and vendors of results."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import httpx

from services.worker.results import child
from services.worker.results.checker import COMMAND, FAILURES, Checker
from services.worker.vendors.service import ImageService
from shared.pipeline.vendor import Traits
from tests.fixtures.eventually import eventually

KINDS = {"image": ("PNG", "JPEG", "WEBP"), "video": ("MP4",)}
KEY = {"X-API-Key": "a-key-of-the-tests"}


def child_that(does: str) -> tuple[str, ...]:
    """The command of a child whose check does something first, with a `path` and a `step`."""
    code = f"""
import sys
sys.path.insert(0, sys.argv[1])
import os, pathlib, signal, threading
from services.worker.results import child
real = child.check
def check(path, step, kinds, out):
    {does}
    return real(path, step, kinds, out)
child.check = check
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


class Unconfined(Checker):
    """A checker without a process."""

    def __init__(self) -> None:
        pass

    async def check(self, path: Path, step: str, kinds: Sequence[str], out: IO[bytes]) -> None:
        await asyncio.to_thread(check, path, step, kinds, out)


def check(path: Path, step: str, kinds: Sequence[str], out: IO[bytes]) -> None:
    """As the worker sees it: BadResult or WrongKind."""
    try:
        child.check(path, step, kinds, out)
    except child.Refused as refused:
        raise FAILURES[refused.code](str(refused)) from None


class AnyKind(ImageService):
    """Its images are of every kind that there is."""

    traits = Traits(kinds=KINDS["image"])


class Locked(ImageService):
    """It gives nothing without its key."""

    def credentials(self) -> Mapping[str, str]:
        return KEY


VENDOR, ANY_KIND, LOCKED = (each(httpx.AsyncClient()) for each in (ImageService, AnyKind, Locked))
