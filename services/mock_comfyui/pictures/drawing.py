"""Draws a stand-in for a generated picture: a PNG that shows its prompt, always the same bytes."""

import hashlib
import io
from collections.abc import Mapping
from functools import lru_cache

from PIL import Image, ImageDraw, PngImagePlugin

from services.mock_comfyui.pictures.glyphs import SIZE, draw_character, width

WIDTH, HEIGHT = 640, 360
_MARGIN = 28
_LINE = SIZE + 10
_BANDS = 8
_INK = (250, 250, 245)


def draw_picture(prompt: str, style: str, salt: str, *, size: tuple[int, int] = (0, 0)) -> bytes:
    """PNG bytes; the text is in the picture and, in full, in its `prompt` chunk."""
    info = PngImagePlugin.PngInfo()
    for name, value in (("prompt", prompt), ("style", style)):
        info.add_itxt(name, value.encode("utf-8", "replace").decode())
    return _saved(_drawn(prompt, style, salt, size=size), "png", info)


def draw_with_chunks(
    text: str, salt: str, *, size: tuple[int, int], format_: str, chunks: Mapping[str, str]
) -> bytes:
    """A picture in this format; a PNG has the texts of `chunks`, as the real server writes them."""
    info = PngImagePlugin.PngInfo()
    for name, value in chunks.items():
        info.add_text(name, value)
    return _saved(_drawn(text, "", salt, size=size), format_, info)


@lru_cache(maxsize=1)
def preview() -> bytes:
    """The small JPEG that stands for every preview."""
    out = io.BytesIO()
    Image.new("RGB", (64, 36), (90, 60, 120)).save(out, "JPEG")
    return out.getvalue()


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
    """Dark bands of colours that come from the text, so that two jobs never look alike."""
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
