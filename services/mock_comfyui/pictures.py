"""Draw the pictures that stand for generated ones: the same text gives the same bytes."""

import asyncio
import hashlib
import io
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from services.mock_core.files import FileStore
from services.mock_core.ledger import Generation

WIDTH, HEIGHT = 640, 360
# Larger pictures can be requested, and are only drawn this large.
_LARGEST = 1024
_SIZE, _MARGIN, _LINE, _BANDS = 26, 28, 36, 8
_INK = (250, 250, 245)
# Where a machine keeps its fonts, and those with Chinese, best first.
_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts")
_CHINESE = (
    *("wqy-microhei.ttc", "NotoSansCJK-Regular.ttc", "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf"),
    *("DroidSansFallback.ttf", "uming.ttc", "PingFang.ttc"),
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
    left: float = _MARGIN
    top = _MARGIN
    for character in f"{prompt}\n{style}" if style else prompt:
        advance = font().getlength(character) if character.isprintable() else 0
        if character == "\n" or left + advance > width - _MARGIN:
            left, top = _MARGIN, top + _LINE
        if top + _SIZE > height - _MARGIN:
            break
        if advance and not (character.isspace() and left == _MARGIN):
            canvas.text((left, top), character, font=font(), fill=_INK)
            left += advance + 1
    out = io.BytesIO()
    if format_ == "png":
        info = PngImagePlugin.PngInfo()
        texts = {"prompt": prompt, "style": style} if chunks is None else chunks
        for name, value in texts.items():
            info.add_text(name, value.encode("utf-8", "replace").decode())
        image.save(out, "PNG", pnginfo=info, compress_level=6)
    else:
        image.save(out, format_.upper(), quality=90)
    return out.getvalue()


@cache
def font() -> ImageFont.FreeTypeFont:
    """Return the machine's font for Chinese, which has Latin, too; else Pillow's own."""
    chinese = _found(_FOLDERS)
    font = ImageFont.load_default(_SIZE) if chinese is None else ImageFont.truetype(chinese, _SIZE)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType")
    return font


def _found(folders: tuple[str, ...]) -> Path | None:
    known = {path.name: path for folder in folders for path in Path(folder).rglob("*.tt[cf]")}
    return next((known[name] for name in _CHINESE if name in known), None)


class ImageMaker:
    def __init__(self, files: FileStore) -> None:
        self._files = files
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
        self._files.put(name, await self.in_thread(draw), "image/png", generation)
        return name

    async def in_thread(self, draw: Callable[[], bytes]) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._thread, draw)
