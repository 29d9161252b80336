"""What nobody but its owner may look into, on a real disk."""

import fcntl
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from compose.stack.files import give, locked, own_folder, write_private
from compose.stack.output import StackError
from tests.compose.stack.conftest import held
from tests.fixtures.small_disk import NewDisk

OTHER = 54321
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_file_and_folder_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir(mode=0o755)
    for text in ("one", "another"):
        write_private(folder / "key", text)
        assert (folder / "key").read_text() == text
    assert (mode(folder / "key"), mode(folder)) == (0o600, 0o700)


def test_full_disk_is_reported_and_leaves_nothing_behind(
    small_disk: NewDisk, tmp_path: Path
) -> None:
    disk = small_disk(tmp_path / "disk")
    disk.fill()
    with pytest.raises(OSError, match="No space left on device") as refused:
        write_private(disk.folder / "key", "x" * 5000)
    assert refused.value.filename == str(disk.folder / "key")
    assert [each.name for each in disk.folder.iterdir()] == ["filler"]


def test_shared_folder_is_used_only_if_it_is_ours(tmp_path: Path) -> None:
    ours = own_folder(tmp_path / "ours")
    assert own_folder(ours) == ours
    assert mode(ours) == 0o700
    (tmp_path / "led").symlink_to(ours)
    (tmp_path / "file").touch()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    for name in ("led", "file", "open"):
        with pytest.raises(StackError, match="not a private folder"):
            own_folder(tmp_path / name)


@as_root
def test_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, OTHER, OTHER)
    with pytest.raises(StackError, match="not a private folder"):
        own_folder(theirs)


@as_root
def test_ownership_changes_everything_in_the_folder_and_no_target_of_a_link(
    tmp_path: Path,
) -> None:
    folder, outside = tmp_path / "data", tmp_path / "outside"
    (folder / "inner").mkdir(parents=True)
    outside.mkdir()
    for place in (folder / "inner", outside):
        (place / "file").touch()
    (folder / "to-folder").symlink_to(outside)
    (folder / "to-file").symlink_to(outside / "file")
    give(folder, OTHER)
    given = (folder, folder / "inner", folder / "inner" / "file", folder / "to-file")
    assert {path.lstat().st_uid for path in given} == {OTHER}
    assert {path.lstat().st_uid for path in (outside, outside / "file")} == {os.geteuid()}


@as_root
def test_folder_replaced_by_a_link_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, outside = tmp_path / "data", tmp_path / "outside"
    for place in (folder / "inner", outside):
        place.mkdir(parents=True)
        (place / "file").touch()

    def then_swap(looked: Any) -> Any:
        def look(path: Any, *args: Any, **options: Any) -> os.stat_result:
            found: os.stat_result = looked(path, *args, **options)
            if str(path).endswith("file") and not (folder / "inner").is_symlink():
                (folder / "inner").rename(folder / "moved")
                (folder / "inner").symlink_to(outside)
            return found

        return look

    with monkeypatch.context() as patched:
        patched.setattr(os, "lstat", then_swap(os.lstat))
        patched.setattr(os, "stat", then_swap(os.stat))
        give(folder, OTHER)
    assert (outside / "file").stat().st_uid == os.geteuid()
    assert (folder / "moved" / "file").stat().st_uid == OTHER


def test_lock_of_a_folder_that_was_removed_is_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, flock = tmp_path / "run", fcntl.flock

    def after_a_removal(handle: int, how: int) -> None:
        monkeypatch.undo()
        folder.rmdir()
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", after_a_removal)
    with locked(folder):
        assert held(folder)
    assert not held(folder)
