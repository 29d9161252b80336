"""An MP4 is a row of boxes that tell their length; the last one must end within the file."""

from os import SEEK_END
from typing import BinaryIO

from services.worker.results.bounds import MAX_FRAMES
from services.worker.results.refusals import Refused

# The length of a box comes in 4 bytes, or in 8 more behind its name where they say 1.
HEAD, LONG_HEAD = 8, 16
# A video in fragments has two boxes for each, at the most one fragment a frame.
MAX_BOXES = 2 * MAX_FRAMES


def check_boxes(file: BinaryIO) -> None:
    """Return where each is whole; else Refused."""
    at, end = 0, file.seek(0, SEEK_END)
    for _ in range(MAX_BOXES):
        if at >= end:
            return
        file.seek(at)
        head = file.read(LONG_HEAD)
        length, content = int.from_bytes(head[:4]), HEAD
        if length == 1:
            length, content = int.from_bytes(head[HEAD:]), LONG_HEAD
        elif length == 0:
            return
        if length < content or at + length > end:
            raise Refused("The video is cut short: a part of it is not whole.")
        at += length
    raise Refused(f"The video has more than {MAX_BOXES} parts.")
