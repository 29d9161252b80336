"""Files and folders that nobody but their owner may look into."""

import contextlib
import os
import stat
from pathlib import Path

from compose.stack.errors import StackError

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def private_folder(folder: Path) -> None:
    """Have a folder, closed to others; one that isn't ours to close stays as it is."""
    folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & OTHERS:
        with contextlib.suppress(PermissionError):
            folder.chmod(mode & ~OTHERS)


def own_folder(folder: Path) -> Path:
    """Have a private folder where anybody may make one; StackError where somebody else has."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=stat.S_IRWXU)
    found = folder.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not ours or found.st_mode & OTHERS:
        raise StackError(f"{folder} is not a folder of ours alone: remove it, or set TMPDIR")
    return folder


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    private_folder(path.parent)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))
    draft.replace(path)


def give(folder: Path, owner: int) -> None:
    """Give a folder and what is in it to a user and the group of that number.

    By open folders, never by path: whoever writes in there must not lead us elsewhere by a link.
    """
    for _, _, names, handle in os.fwalk(folder.resolve(), follow_symlinks=False):
        if os.fstat(handle).st_uid != owner:
            os.fchown(handle, owner, owner)
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                if os.stat(name, dir_fd=handle, follow_symlinks=False).st_uid != owner:
                    os.chown(name, owner, owner, dir_fd=handle, follow_symlinks=False)
