"""Draw the pictures that stand for generated ones: the same text gives the same bytes."""

import asyncio
import hashlib
import io
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from services.mock_core.clock import Clock
from services.mock_core.files import FileStore, StoredFile
from services.mock_core.ledger import Generation

SIZE = 26
_SMALL_PRINT = 9
_MISSING = "\U0010ffff"
# Where a machine keeps its fonts, and those with Chinese, best first.
_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts")
_CHINESE = (
    "wqy-microhei.ttc",
    "NotoSansCJK-Regular.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "DroidSansFallback.ttf",
    "uming.ttc",
    "PingFang.ttc",
)


@lru_cache(maxsize=1)
def fonts() -> tuple[ImageFont.FreeTypeFont, ...]:
    """Return Pillow's own font, then the machine's font for Chinese, if it has one."""
    own = ImageFont.load_default(SIZE)
    if not isinstance(own, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType")
    chinese = _found(_FOLDERS)
    return (own,) if chinese is None else (own, ImageFont.truetype(chinese, SIZE))


def _found(folders: tuple[str, ...]) -> Path | None:
    known = {path.name: path for folder in folders for path in Path(folder).rglob("*.tt[cf]")}
    return next((known[name] for name in _CHINESE if name in known), None)


@lru_cache(maxsize=4096)
def font_of(character: str) -> ImageFont.FreeTypeFont | None:
    """Return the first font that has a glyph for this character."""
    if character.isspace():
        return fonts()[0]
    return next((font for font in fonts() if _has_glyph(font, character)), None)


def _has_glyph(font: ImageFont.FreeTypeFont, character: str) -> bool:
    return bytes(font.getmask(character)) != bytes(font.getmask(_MISSING))


@lru_cache(maxsize=4096)
def width(character: str) -> int:
    font = font_of(character)
    return SIZE + 3 if font is None else int(font.getlength(character)) + 1


def draw_character(
    canvas: ImageDraw.ImageDraw, at: tuple[int, int], *, character: str, ink: tuple[int, int, int]
) -> None:
    """Draw a glyph; without one, a box with the character's code point."""
    font = font_of(character)
    if font is not None:
        canvas.text(at, character, font=font, fill=ink)
        return
    code = f"{ord(character):06X}"
    canvas.rectangle((*at, at[0] + SIZE, at[1] + SIZE), outline=ink)
    for row in range(2):
        place = (at[0] + 2, at[1] + 2 + row * (SIZE // 2))
        canvas.text(place, code[row * 3 : row * 3 + 3], font=_small(), fill=ink)


@lru_cache(maxsize=1)
def _small() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_SMALL_PRINT)


WIDTH, HEIGHT = 640, 360
_MARGIN = 28
_LINE = SIZE + 10
_BANDS = 8
_INK = (250, 250, 245)


def draw_picture(prompt: str, style: str, salt: str, *, size: tuple[int, int] = (0, 0)) -> bytes:
    """Return PNG bytes; the text is in the picture and, in full, in its `prompt` chunk."""
    info = PngImagePlugin.PngInfo()
    for name, value in (("prompt", prompt), ("style", style)):
        info.add_itxt(name, value.encode("utf-8", "replace").decode())
    return _saved(_drawn(prompt, style, salt, size=size), "png", info)


def draw_with_chunks(
    text: str, salt: str, *, size: tuple[int, int], format_: str, chunks: Mapping[str, str]
) -> bytes:
    """Draw a picture in this format; a PNG has the texts of `chunks`, as the real server writes
    them."""
    info = PngImagePlugin.PngInfo()
    for name, value in chunks.items():
        info.add_text(name, value)
    return _saved(_drawn(text, "", salt, size=size), format_, info)


def _drawn(prompt: str, style: str, salt: str, *, size: tuple[int, int]) -> Image.Image:
    shape = (size[0] or WIDTH, size[1] or HEIGHT)
    image = Image.new("RGB", shape)
    canvas = ImageDraw.Draw(image)
    _background(canvas, shape, f"{prompt}\x1f{style}\x1f{salt}")
    _write(canvas, shape, f"{prompt}\n{style}" if style else prompt)
    return image


def _saved(image: Image.Image, format_: str, info: PngImagePlugin.PngInfo) -> bytes:
    out = io.BytesIO()
    if format_ == "png":
        image.save(out, "PNG", pnginfo=info, compress_level=6)
    else:
        image.save(out, format_.upper(), quality=90)
    return out.getvalue()


def _background(canvas: ImageDraw.ImageDraw, shape: tuple[int, int], seed: str) -> None:
    """Draw dark bands in colours that come from the text, so that two jobs never look alike."""
    digest = hashlib.blake2b(seed.encode("utf-8", "surrogatepass"), digest_size=48).digest()
    step = -(-shape[0] // _BANDS)
    for band in range(_BANDS):
        red, green, blue = (20 + value % 110 for value in digest[band * 3 : band * 3 + 3])
        left = band * step
        canvas.rectangle((left, 0, left + step, shape[1]), fill=(red, green, blue))
    canvas.rectangle(
        (_MARGIN // 2, _MARGIN // 2, shape[0] - _MARGIN // 2, shape[1] - _MARGIN // 2),
        outline=_INK,
    )


def _write(canvas: ImageDraw.ImageDraw, shape: tuple[int, int], text: str) -> None:
    left, top = _MARGIN, _MARGIN
    for character in text:
        if character == "\n" or left + width(character) > shape[0] - _MARGIN:
            left, top = _MARGIN, top + _LINE
        if top + SIZE > shape[1] - _MARGIN:
            return
        if character.isprintable() and not (character.isspace() and left == _MARGIN):
            draw_character(canvas, (left, top), character=character, ink=_INK)
            left += width(character)


# Larger pictures can be requested, and are only drawn this large.
_LARGEST = 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """A requested picture of the native wire; `chunks` are the texts that a PNG carries."""

    text: str
    salt: str
    size: tuple[int, int]
    format: str = "png"
    chunks: Mapping[str, str] = field(default_factory=dict)


class ImageMaker:
    def __init__(self, files: FileStore, clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="draw")

    async def warm_up(self) -> None:
        """Load the font before the first job needs it."""
        await self._in_thread(partial(draw_picture, "warm", "up", ""))

    async def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def make(self, generation: Generation) -> str:
        """Draw and store what the plain wire requested; return the file's name."""
        name = f"{generation.id}.png"
        draw = partial(draw_picture, generation.prompt, generation.style, generation.id)
        body = await self._in_thread(draw)
        self._files.put(name, StoredFile(body, "image/png", self._clock.now(), generation))
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
