"""Characters for the picture: a font's glyphs, and a pattern of its own where no font has one."""

import hashlib
from functools import lru_cache
from pathlib import Path

from PIL import ImageDraw, ImageFont

SIZE = 26
_GRID = 5
_SMALL_PRINT = 9
_MISSING = "\U0010ffff"
# Where a machine keeps its fonts, and those that have Chinese, the best first.
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
    """Pillow's own font, and behind it the machine's for Chinese, where it has one."""
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
    """The first font that draws something of its own, rather than the box for missing ones."""
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
    font = font_of(character)
    if font is None:
        _draw_pattern(canvas, at, character=character, ink=ink)
        _draw_code(canvas, at, character=character, ink=ink)
    else:
        canvas.text(at, character, font=font, fill=ink)


def _draw_code(
    canvas: ImageDraw.ImageDraw, at: tuple[int, int], *, character: str, ink: tuple[int, int, int]
) -> None:
    """Which character it is, in small print below."""
    small = ImageFont.load_default(_SMALL_PRINT)
    canvas.text((at[0], at[1] + SIZE + 1), f"{ord(character):04X}", font=small, fill=ink)


def _draw_pattern(
    canvas: ImageDraw.ImageDraw, at: tuple[int, int], *, character: str, ink: tuple[int, int, int]
) -> None:
    """Five by five cells, mirrored, different for each character and the same each time."""
    digest = hashlib.blake2b(character.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    bits = int.from_bytes(digest, "big") | 1
    cell = SIZE // _GRID
    for row in range(_GRID):
        for column in range(_GRID):
            if bits >> (row * 3 + min(column, _GRID - 1 - column)) & 1:
                left, top = at[0] + column * cell, at[1] + 3 + row * cell
                canvas.rectangle((left, top, left + cell - 1, top + cell - 1), fill=ink)
