"""What lies in a job's folder is found whatever its kind, and never what is still being written."""

import os
from pathlib import Path

import pytest

from loadtest.collect.collector import _stored


@pytest.mark.parametrize("end", ["png", "jpg", "webp"])
def test_an_image_is_found_by_any_of_its_names(tmp_path: Path, end: str) -> None:
    assert _stored(tmp_path, "image") is None
    (tmp_path / ".image.0123.part").write_bytes(b"half")
    (tmp_path / "video.mp4").write_bytes(b"video")
    assert _stored(tmp_path, "image") is None
    (tmp_path / f"image.{end}").write_bytes(b"whole")
    assert _stored(tmp_path, "image") == b"whole"


def test_of_two_the_newer_one_is_the_jobs(tmp_path: Path) -> None:
    for age, end in enumerate(("png", "jpg")):
        path = tmp_path / f"image.{end}"
        path.write_bytes(end.encode())
        os.utime(path, (1000 - age, 1000 - age))
    assert _stored(tmp_path, "image") == b"png"
