"""A file shows the same with and without what tells of its making, and no other one does."""

import io

import pytest
from PIL import Image, PngImagePlugin

from loadtest.collect.collector import examine
from services.mock_comfyui.pictures import draw_picture
from services.mock_core.ledger.files import shown
from services.mock_kling.video import make_video

PICTURE = draw_picture("一只猫", "", "1", size=(96, 64))
OTHER = draw_picture("一只猫", "", "2", size=(96, 64))
FILM = make_video(PICTURE)


def again(body: bytes, comment: str = "") -> bytes:
    """The same pixels in another file."""
    out, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_text("prompt", comment)
    with Image.open(io.BytesIO(body)) as picture:
        picture.save(out, "PNG", pnginfo=info)
    return out.getvalue()


def test_the_pixels_decide() -> None:
    assert again(PICTURE, "told") != PICTURE
    assert shown(PICTURE) == shown(again(PICTURE, "told")) != shown(OTHER)


def test_the_films_packets_decide() -> None:
    told = FILM.replace(b"udta", b"free")
    assert told != FILM
    assert shown(FILM) == shown(told) != shown(make_video(OTHER))


@pytest.mark.parametrize(
    "body", [b"", b"no picture", PICTURE[:99], b"\0\0\0\x18ftypisom" + bytes(50)]
)
def test_what_shows_nothing_has_no_digest(body: bytes) -> None:
    assert shown(body) is None


@pytest.mark.parametrize(("kind", "body"), [("image", PICTURE), ("video", FILM)])
def test_the_load_test_sees_the_same(kind: str, body: bytes) -> None:
    """It shares no code with the mocks."""
    assert examine("job", kind, body)["shows"] == shown(body)
