"""Makes the picture of a generation in a thread, so that drawing never holds up a request."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from services.mock_comfyui.picture import draw_picture
from services.mock_core.files import FileStore, StoredFile
from services.mock_core.generation import Generation


class ImageMaker:
    def __init__(self, files: FileStore) -> None:
        self._files = files
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="draw")
        self.now: Callable[[], float] = lambda: 0.0

    async def warm_up(self) -> None:
        """Load the font before the first job needs it."""
        await self._draw("warm", "up", "")

    async def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def make(self, generation: Generation) -> str:
        """Draw, store, and return the file's name."""
        body = await self._draw(generation.prompt, generation.style, generation.id)
        name = f"{generation.id}.png"
        self._files.put(name, StoredFile(body, "image/png", self.now(), generation))
        return name

    async def _draw(self, prompt: str, style: str, salt: str) -> bytes:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, draw_picture, prompt, style, salt)
