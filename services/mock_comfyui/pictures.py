"""Draw the pictures that stand for generated ones: the same text gives the same bytes."""

import asyncio
import hashlib
import io
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from services.mock_core.clock import Clock
from services.mock_core.files import FileStore, StoredFile
from services.mock_core.ledger import Generation

WIDTH, HEIGHT = 640, 360
SIZE = 26
# Larger pictures can be requested, and are only drawn this large.
_LARGEST = 1024
_SMALL_PRINT = 9
_MARGIN = 28
_LINE = SIZE + 10
_BANDS = 8
_INK = (250, 250, 245)
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


def draw_picture(
    prompt: str,
    style: str,
    salt: str,
    *,
    size: tuple[int, int] = (0, 0),
    format_: str = "png",
    chunks: Mapping[str, str] | None = None,
) -> bytes:
    """Return a picture that shows the text; a PNG has the texts of `chunks`, or the prompt and the
    style in full."""
    width, height = min(size[0], _LARGEST) or WIDTH, min(size[1], _LARGEST) or HEIGHT
    image = Image.new("RGB", (width, height))
    canvas = ImageDraw.Draw(image)
    # Dark bands in colours that come from the text, so that two jobs never look alike.
    seed = f"{prompt}\x1f{style}\x1f{salt}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(seed, digest_size=48).digest()
    step = -(-width // _BANDS)
    for band in range(_BANDS):
        red, green, blue = (20 + value % 110 for value in digest[band * 3 : band * 3 + 3])
        canvas.rectangle((band * step, 0, band * step + step, height), fill=(red, green, blue))
    edge = _MARGIN // 2
    canvas.rectangle((edge, edge, width - edge, height - edge), outline=_INK)
    left = top = _MARGIN
    for character in f"{prompt}\n{style}" if style else prompt:
        if character == "\n" or left + _width(character) > width - _MARGIN:
            left, top = _MARGIN, top + _LINE
        if top + SIZE > height - _MARGIN:
            break
        if character.isprintable() and not (character.isspace() and left == _MARGIN):
            _draw_character(canvas, (left, top), character)
            left += _width(character)
    out = io.BytesIO()
    if format_ == "png":
        info = PngImagePlugin.PngInfo()
        for name, value in (
            {"prompt": prompt, "style": style} if chunks is None else chunks
        ).items():
            info.add_text(name, value.encode("utf-8", "replace").decode())
        image.save(out, "PNG", pnginfo=info, compress_level=6)
    else:
        image.save(out, format_.upper(), quality=90)
    return out.getvalue()


def _draw_character(canvas: ImageDraw.ImageDraw, at: tuple[int, int], character: str) -> None:
    """Draw a glyph; without one, a box with the character's code point."""
    font = font_of(character)
    if font is not None:
        canvas.text(at, character, font=font, fill=_INK)
        return
    code = f"{ord(character):06X}"
    canvas.rectangle((*at, at[0] + SIZE, at[1] + SIZE), outline=_INK)
    for row in range(2):
        place = (at[0] + 2, at[1] + 2 + row * (SIZE // 2))
        small = ImageFont.load_default(_SMALL_PRINT)
        canvas.text(place, code[row * 3 : row * 3 + 3], font=small, fill=_INK)


@lru_cache(maxsize=4096)
def _width(character: str) -> int:
    font = font_of(character)
    return SIZE + 3 if font is None else int(font.getlength(character)) + 1


@lru_cache(maxsize=4096)
def font_of(character: str) -> ImageFont.FreeTypeFont | None:
    """Return the first font that has a glyph for this character."""
    if character.isspace():
        return fonts()[0]
    for font in fonts():
        if bytes(font.getmask(character)) != bytes(font.getmask(_MISSING)):
            return font
    return None


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


class ImageMaker:
    def __init__(self, files: FileStore, clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="draw")

    async def warm_up(self) -> None:
        """Load the font before the first job needs it."""
        await self.in_thread(partial(draw_picture, "warm", "up", ""))

    async def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def make(self, generation: Generation) -> str:
        """Draw and store what the plain wire requested; return the file's name."""
        name = f"{generation.id}.png"
        draw = partial(draw_picture, generation.prompt, generation.style, generation.id)
        body = await self.in_thread(draw)
        self._files.put(name, StoredFile(body, "image/png", self._clock.now(), generation))
        return name

    async def in_thread(self, draw: Callable[[], bytes]) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._thread, draw)
