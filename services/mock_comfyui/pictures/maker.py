"""Makes the picture of a generation in a thread, so that drawing never holds up a request."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from services.mock_comfyui.pictures.drawing import draw_picture
from services.mock_comfyui.prompts.task import Task
from services.mock_comfyui.prompts.validation import Nodes
from services.mock_core.ledger.files import FileStore, StoredFile
from services.mock_core.ledger.generation import Generation

# Larger pictures are asked for, and only drawn this large.
_LARGEST = 1024


class ImageMaker:
    def __init__(self, files: FileStore) -> None:
        self._files = files
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="draw")
        self.now: Callable[[], float] = lambda: 0.0
        self.nodes: Nodes = {}

    async def warm_up(self) -> None:
        """Load the font before the first job needs it."""
        await self._draw("warm", "up", "")

    async def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def make(self, generation: Generation) -> str:
        """Draw, store, and return the file's name; empty when there is no picture to draw."""
        task: Task | None = generation.detail.get("task")
        if task is None:
            body = await self._draw(generation.prompt, generation.style, generation.id)
            self._store(f"{generation.id}.png", body, generation)
            return f"{generation.id}.png"
        names = [*task.new_files, *task.old_files]
        if task.new_files:
            salt = task.work.signatures[task.work.order[-1]]
            body = await self._draw(generation.prompt, "", salt, size=self._size(task))
            for name in task.new_files:
                self._store(name, body, generation)
        return names[0] if names else ""

    def _size(self, task: Task) -> tuple[int, int]:
        width, height = task.work.size(self.nodes)
        return min(width, _LARGEST), min(height, _LARGEST)

    def _store(self, name: str, body: bytes, generation: Generation) -> None:
        self._files.put(name, StoredFile(body, "image/png", self.now(), generation))

    async def _draw(
        self, prompt: str, style: str, salt: str, *, size: tuple[int, int] = (0, 0)
    ) -> bytes:
        loop = asyncio.get_running_loop()
        draw = partial(draw_picture, prompt, style, salt, size=size)
        return await loop.run_in_executor(self._thread, draw)
