"""Have files checked by a child process, which a file may kill; this process opens none."""

import asyncio
import base64
import contextlib
import io
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import structlog

from shared.errors import BadResult, GenvideoError, RefusedForGood, StorageFailed, WrongKind
from shared.pipeline import storage

log = structlog.get_logger(__name__)

ROOT = Path(__file__).parents[3]
# It gets nothing of the environment, not even PYTHONPATH.
CODE = """
import sys
sys.path.insert(0, sys.argv[1])
from services.worker.results.child import main
main()
"""
COMMAND = (sys.executable, "-I", "-c", CODE, str(ROOT))
# A file that kills the process this often is bad; once may be an accident.
TRIES = 2
# For one file, whatever the process does: it may wait for a slow disk, or for its turn.
WALL_SECONDS = 60.0
# A start takes a quarter of a second, on a machine that is not busy.
START_SECONDS = 20.0
READY, GOOD = "ready", "good"
# A part has 64 KiB, in base64.
LONGEST_LINE = 1024 * 1024
# The largest allowed picture, as an incompressible PNG.
LONGEST_ANSWER = 180 * 1000 * 1000
FAILURES: dict[str, type[GenvideoError]] = {
    kind.code: kind for kind in (BadResult, WrongKind, RefusedForGood, StorageFailed)
}


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The pictures that a vendor takes: `kinds` by Pillow's names, sides in pixels, and the largest
    ratio of the sides."""

    kinds: tuple[str, ...]
    max_bytes: int
    min_side: int
    max_ratio: float


class Checker(storage.Checker):
    """One child process that checks files one at a time; it starts before it is needed."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._child = asyncio.create_task(_started())

    async def check(self, path: Path, step: str, kinds: Sequence[str], out: IO[bytes]) -> None:
        """Return if this is a good file of one of these kinds; for a picture `out` then has the
        file to store.

        Raises BadResult or WrongKind, and StorageFailed if it can't be checked now.
        """
        await self._asked(
            {"path": str(path), "step": step, "kinds": list(kinds)}, f"The {step}", out
        )

    async def fitted(self, path: Path, bounds: Bounds) -> bytes:
        """Return a stored picture within bounds, as another JPEG if needed.

        Raises RefusedForGood if that is impossible, and StorageFailed if it can't be read now.
        """
        out = io.BytesIO()
        try:
            await self._asked({"path": str(path), "limits": asdict(bounds)}, "The image", out)
        except BadResult as error:
            # It was good when it was stored, so another generation would change nothing.
            raise RefusedForGood(error.message) from None
        if new := out.getvalue():
            return new
        try:
            return await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise StorageFailed(f"Our disk: {error.strerror}") from None

    async def close(self) -> None:
        with contextlib.suppress(OSError):
            await _ended(await self._child)

    async def _asked(self, request: dict[str, Any], what: str, out: IO[bytes]) -> None:
        async with self._turn:
            for _ in range(TRIES):
                answer = await self._answer(request, out)
                if answer is not None:
                    break
                log.warning("the process that checks files died or took too long", file=what)
            else:
                raise BadResult(f"{what} can't be checked: the check died or took too long, twice.")
        if answer["verdict"] != GOOD:
            raise FAILURES[answer["verdict"]](str(answer.get("reason", "")))

    async def _answer(self, request: dict[str, Any], out: IO[bytes]) -> dict[str, Any] | None:
        """Return the child's verdict, with the parts in `out`; None if it died, or was killed."""
        child = await self._ready()
        answer = None
        out.seek(0)
        out.truncate()
        try:
            async with asyncio.timeout(WALL_SECONDS):
                answer = await _verdict(child, request, out)
        except (BrokenPipeError, ConnectionResetError, TimeoutError, ValueError):
            pass
        finally:
            # If the caller gave up, its answer would be taken for the next caller's.
            if answer is None:
                self._child = asyncio.create_task(_started(child))
        return answer

    async def _ready(self) -> Process:
        if self._child.done() and self._child.exception() is not None:
            self._child = asyncio.create_task(_started())
        elif self._child.done() and self._child.result().returncode is not None:
            # It was idle, so no file is to blame.
            self._child = asyncio.create_task(_started(self._child.result()))
        try:
            return await asyncio.shield(self._child)
        except OSError as error:
            raise StorageFailed(f"Files can't be checked: {error}") from None


@contextlib.asynccontextmanager
async def running_checker() -> AsyncIterator[Checker]:
    checker = Checker()
    try:
        yield checker
    finally:
        await checker.close()


async def _started(before: Process | None = None) -> Process:
    """Start a child after the one before has ended; raise OSError if it does not get ready."""
    if before is not None:
        await _ended(before)
    child = await asyncio.create_subprocess_exec(
        *COMMAND,
        stdin=PIPE,
        stdout=PIPE,
        limit=LONGEST_LINE,
        env={},
        # Only this process ends it, not a signal to the whole group.
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            if (await _line(child)).get("verdict") != READY:
                raise ValueError("no answer")
    except (OSError, ValueError) as error:
        await _ended(child)
        raise OSError(f"the process that checks them did not start ({error})") from None
    except BaseException:
        await _ended(child)
        raise
    return child


async def _verdict(child: Process, request: dict[str, Any], out: IO[bytes]) -> dict[str, Any]:
    """Return the child's verdict; raise ValueError for an invalid one, or after too many parts."""
    if child.stdin is None:
        raise ValueError("no way in")
    child.stdin.write(json.dumps(request).encode() + b"\n")
    await child.stdin.drain()
    size = 0
    while "part" in (answer := await _line(child)):
        part = base64.b64decode(str(answer["part"]), validate=True)
        size += len(part)
        if size > LONGEST_ANSWER:
            raise ValueError("too long")
        await asyncio.to_thread(out.write, part)
    if answer.get("verdict") not in {GOOD, *FAILURES}:
        raise ValueError("no answer")
    return answer


async def _line(child: Process) -> dict[str, Any]:
    answer = json.loads(await child.stdout.readline()) if child.stdout else None
    if not isinstance(answer, dict):
        raise ValueError("no answer")
    return answer


async def _ended(child: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.kill()
    if child.stdin is not None:
        child.stdin.close()
    await child.communicate()
