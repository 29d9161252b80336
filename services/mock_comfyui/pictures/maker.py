"""Draws pictures in a thread, so that drawing never holds up a request."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from services.mock_comfyui.pictures.drawing import draw_picture, draw_with_chunks
from services.mock_core.ledger.files import FileStore, StoredFile
from services.mock_core.ledger.generation import Generation

# Larger pictures are asked for, and only drawn this large.
_LARGEST = 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture of the native wire; `chunks` are the texts that a PNG carries along."""

    text: str
    salt: str
    size: tuple[int, int]
    format: str = "png"
    chunks: Mapping[str, str] = field(default_factory=dict)


class ImageMaker:
    def __init__(self, files: FileStore) -> None:
        self._files = files
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="draw")
        self.now: Callable[[], float] = lambda: 0.0

    async def warm_up(self) -> None:
        """Load the font before the first job needs it."""
        await self._in_thread(partial(draw_picture, "warm", "up", ""))

    async def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def make(self, generation: Generation) -> str:
        """Draw and store what the plain wire asked for; the file's name."""
        name = f"{generation.id}.png"
        draw = partial(draw_picture, generation.prompt, generation.style, generation.id)
        body = await self._in_thread(draw)
        self._files.put(name, StoredFile(body, "image/png", self.now(), generation))
        return name

    async def draw(self, wanted: Wanted) -> bytes:
        size = (min(wanted.size[0], _LARGEST), min(wanted.size[1], _LARGEST))
        draw = partial(
            draw_with_chunks,
            wanted.text,
            wanted.salt,
            size=size,
            format_=wanted.format,
            chunks=wanted.chunks,
        )
        return await self._in_thread(draw)

    async def _in_thread(self, draw: Callable[[], bytes]) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._thread, draw)
