"""The picture: always the same bytes, different for each text, no box for a missing glyph."""

import io

from PIL import Image

from services.mock_comfyui.pictures.drawing import HEIGHT, WIDTH, draw_picture
from services.mock_comfyui.pictures.glyphs import font, has_glyph


def _pixels(prompt: str, salt: str = "") -> bytes:
    return Image.open(io.BytesIO(draw_picture(prompt, "", salt))).tobytes()


def test_the_same_text_gives_the_same_bytes() -> None:
    assert draw_picture("一只猫", "ink", "1") == draw_picture("一只猫", "ink", "1")


def test_another_text_or_salt_gives_another_picture() -> None:
    pictures = {_pixels("猫"), _pixels("狗"), _pixels("猫", "2"), _pixels("cat")}
    assert len(pictures) == 4


def test_a_character_without_a_glyph_gets_a_pattern_of_its_own() -> None:
    assert has_glyph("a")
    assert not has_glyph("猫")
    box = bytes(font().getmask("猫"))
    assert box == bytes(font().getmask("狗"))
    same_background = "\u200b"
    assert _pixels("猫", same_background) != _pixels("狗", same_background)


def test_any_text_fits_into_the_picture() -> None:
    for text in ("x" * 2500, "猫" * 2500, "\x00\n\t\r\u202e", "\ud800", "🐈‍⬛", " "):
        picture = Image.open(io.BytesIO(draw_picture(text, "", "")))
        assert picture.size == (WIDTH, HEIGHT)
