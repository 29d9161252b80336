"""What the operator sees of a disk that refuses, and until when."""

import errno
from pathlib import Path

from shared.pipeline.disk import Disk

FULL = OSError(errno.ENOSPC, "No space left on device")


async def test_nothing_is_written_without_a_refusal(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "nowhere")
    assert await disk.reason() is None
    assert not (tmp_path / "nowhere").exists()


async def test_refusal_is_reported_until_writes_succeed(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    disk = Disk(tmp_path)
    disk.refused("state", FULL)
    disk.refused("assets", FULL)
    assert await disk.reason() == "state: File exists"
    (tmp_path / "state").unlink()
    assert await disk.reason() is None
    assert left(tmp_path) == ["assets", "state"]


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))
