"""Has files checked by a process of its own, which may die of them; this one doesn't open them."""

import asyncio
import base64
import contextlib
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import structlog

from services.worker.results.pieces import Piece, from_json
from services.worker.vendors.vendor import Bounds, Fitted
from shared.errors import BadResult, GenvideoError, RefusedForGood, StorageFailed, WrongKind
from shared.jobs.assets import Kind
from shared.jobs.states import Step

log = structlog.get_logger(__name__)

ROOT = Path(__file__).parents[3]
# Nothing of the environment, not even where modules are looked for.
CODE = """
import sys
sys.path.insert(0, sys.argv[1])
from services.worker.results.child import main
main()
"""
COMMAND = (sys.executable, "-I", "-c", CODE, str(ROOT))
# A file of which the process dies this often is a bad one; once may be an accident.
TRIES = 2
# For one file, whatever the process does: it may wait for a slow disk, or for its turn.
WALL_SECONDS = 20.0
# A start takes a quarter of a second, on a machine that is not busy.
START_SECONDS = 20.0
READY, GOOD = "ready", "good"
T = TypeVar("T")
# What the answer of a good file says; ValueError for what can't be so.
Read = Callable[[dict[str, Any]], Awaitable[T]]
# An answer may hold a picture in base64.
LONGEST_ANSWER = 32 * 1024 * 1024
FAILURES: dict[str, type[GenvideoError]] = {
    kind.code: kind for kind in (BadResult, WrongKind, RefusedForGood, StorageFailed)
}


class Verdict(NamedTuple):
    """What a good file is, and what is to be kept of it where that is not all."""

    kind: Kind
    pieces: list[Piece] | None


class Checker:
    """One child process that checks files one at a time; it is there before it is needed."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._child = asyncio.create_task(_started())

    async def check(self, path: Path, step: Step, kinds: Sequence[Kind]) -> Verdict:
        """What a good file of one of these kinds is.

        BadResult, WrongKind: it is none. StorageFailed: it can't be checked now.
        """

        async def read(answer: dict[str, Any]) -> Verdict:
            return await _verdict(answer, path, kinds)

        question = {"path": str(path), "step": step, "kinds": kinds}
        return await self._asked(question, f"The {step}", read)

    async def fitted(self, path: Path, bounds: Bounds) -> Fitted:
        """A stored picture within bounds, as another JPEG where that is needed.

        RefusedForGood: that can't be. StorageFailed: it can't be read now.
        """
        question = {"path": str(path), "limits": asdict(bounds)}
        try:
            new = await self._asked(question, "The image", _new)
        except BadResult as error:
            # It was found good when it was stored; another generation would change nothing.
            raise RefusedForGood(error.message) from None
        if new:
            return Fitted(new, is_new=True)
        try:
            return Fitted(await asyncio.to_thread(path.read_bytes), is_new=False)
        except OSError as error:
            raise StorageFailed(f"Our disk: {error.strerror}") from None

    async def _asked(self, request: dict[str, Any], what: str, read: Read[T]) -> T:
        async with self._turn:
            for _ in range(TRIES):
                answer = await self._answer(request, read)
                if answer is not None:
                    break
                log.warning("the check of a file has died or taken too long", file=what)
            else:
                raise BadResult(f"{what} can't be checked: that died or took too long, twice.")
        if isinstance(answer, GenvideoError):
            raise answer
        return answer

    async def close(self) -> None:
        """End the child, as soon as it has begun."""
        with contextlib.suppress(OSError):
            await _ended(await self._child)

    async def _answer(self, request: dict[str, Any], read: Read[T]) -> T | GenvideoError | None:
        """The child's; None where it died, or had to."""
        child = await self._ready()
        answer: T | GenvideoError | None = None
        try:
            async with asyncio.timeout(WALL_SECONDS):
                told = await _told(child, request)
                answer = await read(told) if told["verdict"] == GOOD else _failure(told)
        except (OSError, ValueError):
            pass
        finally:
            # A caller that gave up would leave an answer behind that is none to the next one.
            if answer is None:
                self._child = asyncio.create_task(_started(child))
        return answer

    async def _ready(self) -> Process:
        if self._child.done() and self._child.exception() is not None:
            self._child = asyncio.create_task(_started())
        elif self._child.done() and self._child.result().returncode is not None:
            # It had nothing to do, so that no file is to blame.
            self._child = asyncio.create_task(_started(self._child.result()))
        try:
            return await asyncio.shield(self._child)
        except OSError as error:
            raise StorageFailed(f"Files can't be checked: {error}") from None


@contextlib.asynccontextmanager
async def running_checker() -> AsyncIterator[Checker]:
    """A checker for as long as the block runs."""
    checker = Checker()
    try:
        yield checker
    finally:
        await checker.close()


async def _started(before: Process | None = None) -> Process:
    """A child that is ready, and the one before it ended; OSError where it doesn't get ready."""
    if before is not None:
        await _ended(before)
    child = await asyncio.create_subprocess_exec(
        *COMMAND,
        stdin=PIPE,
        stdout=PIPE,
        limit=LONGEST_ANSWER,
        env={},
        # Its end is this process's alone, not that of a whole group's signal.
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            await _read(child, {READY})
    except (OSError, ValueError) as error:
        await _ended(child)
        raise OSError(f"their process did not begin ({error})") from None
    except BaseException:
        await _ended(child)
        raise
    return child


async def _told(child: Process, request: dict[str, Any]) -> dict[str, Any]:
    if child.stdin is None:
        raise OSError("no way in")
    child.stdin.write(json.dumps(request).encode() + b"\n")
    await child.stdin.drain()
    return await _read(child, {GOOD, *FAILURES})


def _failure(answer: dict[str, Any]) -> GenvideoError:
    return FAILURES[answer["verdict"]](str(answer.get("reason", "")))


async def _verdict(answer: dict[str, Any], path: Path, kinds: Sequence[Kind]) -> Verdict:
    kind = Kind(str(answer.get("kind")))
    if kind not in kinds:
        raise ValueError("no kind that was asked for")
    if (told := answer.get("pieces")) is None:
        return Verdict(kind, None)
    stat = await asyncio.to_thread(path.stat)
    return Verdict(kind, from_json(told, stat.st_size))


async def _new(answer: dict[str, Any]) -> bytes:
    """Another picture; none where the old one will do."""
    return base64.b64decode(str(answer.get("new", "")))


async def _read(child: Process, verdicts: set[str]) -> dict[str, Any]:
    """The next answer; OSError or ValueError where there is none."""
    if child.stdout is None:
        raise OSError("no way out")
    answer = json.loads(await child.stdout.readline())
    if not isinstance(answer, dict) or answer.get("verdict") not in verdicts:
        raise ValueError("no answer")
    return answer


async def _ended(child: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.kill()
    if child.stdin is not None:
        child.stdin.close()
    await child.communicate()
