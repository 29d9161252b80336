"""Characters for the picture: the font's glyphs, and a pattern of its own where it has none."""

import hashlib
from functools import lru_cache

from PIL import ImageDraw, ImageFont

SIZE = 26
_GRID = 5
_MISSING = "\U0010ffff"


@lru_cache(maxsize=1)
def font() -> ImageFont.FreeTypeFont:
    found = ImageFont.load_default(SIZE)
    if not isinstance(found, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType")
    return found


@lru_cache(maxsize=4096)
def has_glyph(character: str) -> bool:
    """Whether the font draws something of its own, rather than the box for missing characters."""
    if character.isspace():
        return True
    return bytes(font().getmask(character)) != bytes(font().getmask(_MISSING))


@lru_cache(maxsize=4096)
def width(character: str) -> int:
    return int(font().getlength(character)) + 1 if has_glyph(character) else SIZE + 3


def draw_character(
    canvas: ImageDraw.ImageDraw, at: tuple[int, int], *, character: str, ink: tuple[int, int, int]
) -> None:
    if has_glyph(character):
        canvas.text(at, character, font=font(), fill=ink)
    else:
        _draw_pattern(canvas, at, character=character, ink=ink)


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
