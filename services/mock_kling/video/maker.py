"""Makes the video of a generation: fetches its picture, encodes in a thread, stores the file."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

from services.mock_core.ledger.files import FileStore, StoredFile
from services.mock_core.ledger.generation import Generation
from services.mock_core.ledger.shown import shown
from services.mock_core.runner.runner import GenerationError
from services.mock_kling.video.encode import make_video
from services.mock_kling.video.pictures import BadPicture, check
from services.mock_kling.video.source import Fetcher


class VideoMaker:
    """`check` raises GenerationError for an address that nothing is fetched from."""

    def __init__(self, files: FileStore, *, check: Callable[[str], None]) -> None:
        self._files = files
        self._fetcher = Fetcher(check)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encode")
        self.now: Callable[[], float] = lambda: 0.0

    async def open(self) -> None:
        await self._fetcher.open()

    async def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)
        await self._fetcher.close()

    async def make(self, generation: Generation) -> str:
        """Fetch, encode, store, and return the file's name; nothing where the inputs are wrong."""
        if "wrong" in generation.detail:
            raise GenerationError("invalid inputs")
        source = generation.image_source
        picture = source if isinstance(source, bytes) else await self._fetcher.fetch(source or "")
        if generation.detail.get("strict"):
            _demand(picture)
        generation.source_sha256 = sha256(picture).hexdigest()
        generation.source_shows = shown(picture)
        loop = asyncio.get_running_loop()
        body = await loop.run_in_executor(self._thread, make_video, picture)
        name = f"{generation.id}.mp4"
        self._files.put(name, StoredFile(body, "video/mp4", self.now(), generation))
        return name


def _demand(picture: bytes) -> None:
    """On its own wire the vendor looks at a fetched picture as closely as at a sent one."""
    try:
        check(picture)
    except BadPicture as error:
        raise GenerationError(str(error)) from error
