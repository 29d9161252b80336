"""JPEG: a row of segments, and behind some of them the picture's data up to the next mark."""

import re
from typing import BinaryIO

from services.worker.results.metadata.parts import counted, read_at
from services.worker.results.pieces import Piece, copied
from services.worker.results.refusals import Refused

START, END, SCAN, COMMENT = 0xD8, 0xD9, 0xDA, 0xFE
APPLICATION = range(0xE0, 0xF0)
# Marks without a length: restarts, and one for arithmetic coding.
ALONE = (*range(0xD0, 0xD8), 0x01)
# What of the applications' own segments changes how the picture looks.
KEPT = {0xE0: (b"JFIF\0", b"JFXX\0"), 0xE2: (b"ICC_PROFILE\0",), 0xEE: (b"Adobe",)}
LONGEST_NAME = 12
# Within the data, FF is followed by 00 or a restart; before a mark there may be several.
MARK = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
WINDOW = 256 * 1024
MAX_FILL = 16


def kept_of_jpeg(file: BinaryIO) -> list[Piece]:
    """The segments that are kept, up to the end mark."""
    pieces: list[Piece] = []
    copied(pieces, 0, 2)
    at = 2
    for _ in counted():
        code, end = _segment(file, at)
        if _is_kept(file, code, end, start=at):
            copied(pieces, at, end)
        if code == END:
            break
        at = end
        if code == SCAN:
            at = _end_of_data(file, end)
            copied(pieces, end, at)
    return pieces


def _segment(file: BinaryIO, at: int) -> tuple[int, int]:
    """The code of the segment that begins there, and where it ends."""
    file.seek(at)
    head = file.read(MAX_FILL)
    behind = head.lstrip(b"\xff")
    if not behind or len(behind) == len(head):
        raise Refused("The image is cut short, or not a row of parts.")
    code, body = behind[0], at + len(head) - len(behind) + 1
    if code in (END, *ALONE):
        return code, body
    length = int.from_bytes(read_at(file, body, 2))
    if length < 2:
        raise Refused("The image has a part without a length.")
    read_at(file, body + length - 1, 1)
    return code, body + length


def _is_kept(file: BinaryIO, code: int, end: int, *, start: int) -> bool:
    if code == COMMENT:
        return False
    if code not in APPLICATION:
        return True
    segment = read_at(file, start, min(end - start, MAX_FILL + 2 + LONGEST_NAME))
    return segment.lstrip(b"\xff")[3:].startswith(KEPT.get(code, ()))


def _end_of_data(file: BinaryIO, at: int) -> int:
    """Where the next mark begins."""
    while True:
        file.seek(at)
        window = file.read(WINDOW)
        if found := MARK.search(window):
            return at + found.start()
        if len(window) < WINDOW:
            raise Refused("The image is cut short.")
        # A mark may have begun with the last bytes.
        at += len(window.rstrip(b"\xff")) or WINDOW - 1
