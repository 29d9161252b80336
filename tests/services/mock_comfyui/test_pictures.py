"""The picture: always the same bytes, different for each text."""

import io
import re
from pathlib import Path

from PIL import Image

from services.mock_comfyui import pictures
from services.mock_comfyui.pictures import HEIGHT, WIDTH, draw_picture

DOCKERFILE = Path(__file__).parents[3] / "compose" / "Dockerfile"


def _pixels(prompt: str, salt: str = "") -> bytes:
    return Image.open(io.BytesIO(draw_picture(prompt, "", salt))).tobytes()


def test_same_text_gives_the_same_bytes() -> None:
    assert draw_picture("一只猫", "ink", "1") == draw_picture("一只猫", "ink", "1")


def test_other_text_or_salt_gives_another_picture() -> None:
    drawn = {_pixels("猫"), _pixels("狗"), _pixels("猫", "2"), _pixels("cat")}
    assert len(drawn) == 4


def test_best_chinese_font_of_the_machine_is_found(tmp_path: Path) -> None:
    assert pictures._found((str(tmp_path),)) is None
    for name in ("uming.ttc", "deeper/wqy-microhei.ttc", "other.ttf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = pictures._found((str(tmp_path / "none"), str(tmp_path)))
    assert found == tmp_path / "deeper/wqy-microhei.ttc"


def test_any_text_fits_into_the_picture() -> None:
    for text in ("x" * 2500, "猫" * 2500, "\x00\n\t\r\u202e", "\ud800", "🐈‍⬛", " "):
        picture = Image.open(io.BytesIO(draw_picture(text, "", "")))
        assert picture.size == (WIDTH, HEIGHT)


def test_font_of_the_image_is_where_it_is_looked_for() -> None:
    [line] = re.findall(r"COPY --from=fonts /fonts (\S+)", DOCKERFILE.read_text(encoding="utf-8"))

    assert Path(line).parent in map(Path, pictures._FOLDERS)
    assert f"/{pictures._CHINESE[0]} ." in DOCKERFILE.read_text(encoding="utf-8")
