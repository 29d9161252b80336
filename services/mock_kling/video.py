"""Make the video of a generation: fetch its picture, check and encode it, store the file."""

import asyncio
import base64
import binascii
import io
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from hashlib import sha256

import av
import httpx
from PIL import Image, UnidentifiedImageError

from services.mock_core.client import may_call
from services.mock_core.files import FileStore, shown
from services.mock_core.ledger import Generation
from services.mock_core.runner import GenerationError
from shared.http.client import http_client

MAX_BYTES = 10_000_000


class VideoMaker:
    """Makes videos of pictures from this machine, or from one of `hosts`."""

    def __init__(self, files: FileStore, *, hosts: frozenset[str]) -> None:
        self._files = files
        self._hosts = hosts
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encode")

    async def open(self) -> None:
        self._client = http_client()
        self._client.headers["User-Agent"] = "mock-kling"

    async def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)
        await self._client.aclose()

    async def make(self, generation: Generation) -> str:
        """Fetch, encode, store, and return the file's name; raise GenerationError with the
        reason."""
        source = generation.image_source
        picture = source if isinstance(source, bytes) else await self._fetch(source or "")
        if generation.detail.get("strict"):
            # On its own wire, a fetched picture is checked as strictly as a sent one.
            try:
                check(picture)
            except BadPicture as error:
                raise GenerationError(str(error)) from error
        generation.source_sha256 = sha256(picture).hexdigest()
        generation.source_shows = shown(picture)
        loop = asyncio.get_running_loop()
        seconds = int(generation.detail.get("duration", "5"))
        body = await loop.run_in_executor(self._thread, make_video, picture, seconds)
        name = f"{generation.id}.mp4"
        self._files.put(name, body, "video/mp4", generation)
        return name

    async def _fetch(self, url: str) -> bytes:
        # The vendor finds out late, too.
        if not may_call(url, self._hosts):
            raise GenerationError("image download failed: its host is not in MOCK_PICTURE_HOSTS")
        try:
            async with self._client.stream("GET", url) as reply:
                if reply.status_code != httpx.codes.OK:
                    raise GenerationError(f"image download failed: HTTP {reply.status_code}")
                body = bytearray()
                async for chunk in reply.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        reason = f"image download failed: larger than {MAX_BYTES} bytes"
                        raise GenerationError(reason)
                return bytes(body)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise GenerationError(f"image download failed: {type(error).__name__}") from error


class BadPicture(ValueError):
    """The picture is refused; the message is the vendor's reason."""


_SHORTEST_SIDE = 300
_WIDEST_RATIO = 2.5
_FORMATS = ("PNG", "JPEG")
_UNREADABLE = (UnidentifiedImageError, OSError, SyntaxError, ValueError)
_NO_PICTURE = "image is not a valid png or jpg"


def decode(image: str) -> bytes:
    """Return the bytes of a picture in base64; raise BadPicture for anything else."""
    if image.startswith("data:"):
        raise BadPicture("image must be base64 without a data: prefix")
    try:
        return base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadPicture("image is neither a URL nor base64") from error


def check(picture: bytes) -> None:
    """Raise BadPicture if the vendor would refuse these bytes."""
    if len(picture) > MAX_BYTES:
        raise BadPicture("image is larger than 10 MB")
    try:
        width, height = Image.open(io.BytesIO(picture), formats=_FORMATS).size
    except _UNREADABLE as error:
        raise BadPicture(_NO_PICTURE) from error
    if min(width, height) < _SHORTEST_SIDE:
        raise BadPicture(f"image sides must be {_SHORTEST_SIDE} px or more")
    if max(width, height) > _WIDEST_RATIO * min(width, height):
        raise BadPicture("image ratio must be between 1:2.5 and 2.5:1")


FRAMES = 12
_LONGEST_SIDE = 640
_MAX_PIXELS = 50_000_000


def make_video(picture: bytes, seconds: int) -> bytes:
    """Return an MP4 of that length; raise GenerationError if the bytes are no picture."""
    frame = av.VideoFrame.from_image(_opened(picture))  # type: ignore[no-untyped-call]
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        options = {"preset": "ultrafast", "crf": "23", "threads": "1"}
        stream = container.add_stream("libx264", rate=Fraction(FRAMES, seconds), options=options)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
        still = frame.reformat(format="yuv420p")
        for number in range(FRAMES):
            still.pts = number
            container.mux(stream.encode(still))
        container.mux(stream.encode())
    return out.getvalue()


def _opened(picture: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(picture), formats=_FORMATS)
        if image.width * image.height > _MAX_PIXELS:
            raise GenerationError("image is too large")
        image.draft("RGB", (_LONGEST_SIDE, _LONGEST_SIDE))
        image.load()
    except _UNREADABLE as error:
        raise GenerationError(_NO_PICTURE) from error
    scale = min(1.0, _LONGEST_SIDE / max(image.size))
    width, height = (max(2, int(side * scale) // 2 * 2) for side in image.size)
    return image.convert("RGB").resize((width, height))
