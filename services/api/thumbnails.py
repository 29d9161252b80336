"""Thumbnails of stored pictures: made on first request, and kept in memory, up to a limit."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections import OrderedDict
from pathlib import Path

THUMBNAIL_TYPE = "image/jpeg"
# Some kilobytes each.
MOST_KEPT = 2000
WALL_SECONDS = 20.0
# The largest picture that is opened.
MOST_BYTES = 256 * 1024
ROOT = Path(__file__).parents[2]
# Nothing of the environment, not even module paths.
CODE = """
import sys
sys.path.insert(0, sys.argv[1])
from services.api.thumbnail_child import main
main(sys.argv[2])
"""
COMMAND = (sys.executable, "-I", "-c", CODE, str(ROOT))

Key = tuple[str, int]


class Thumbnails:
    """Makes one thumbnail at a time; a picture that can't be opened has none, and isn't tried
    again."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._kept: OrderedDict[Key, bytes] = OrderedDict()

    async def of(self, path: Path) -> bytes | None:
        """Return the thumbnail of a stored picture, or None."""
        key = str(path), (await asyncio.to_thread(path.stat)).st_mtime_ns
        if key not in self._kept:
            async with self._turn:
                if key not in self._kept:
                    self._kept[key] = await _made(path)
        self._kept.move_to_end(key)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return self._kept[key] or None


async def _made(path: Path) -> bytes:
    """Return nothing if the process dies, or takes too long."""
    child = await asyncio.create_subprocess_exec(
        *COMMAND, str(path), stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env={}
    )
    try:
        async with asyncio.timeout(WALL_SECONDS):
            output, _ = await child.communicate()
    except TimeoutError:
        return b""
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
    return output if child.returncode == 0 and len(output) <= MOST_BYTES else b""
