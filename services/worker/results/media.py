"""Whether a file is what its vendor says: known by its content, decodable, of a size that can be;
and what of it is kept.

It reads what strangers have made, so that it runs in a process of its own (`child.py`) alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from services.worker.results.boxes import check_boxes
from services.worker.results.metadata.jpeg import kept_of_jpeg
from services.worker.results.metadata.png import kept_of_png
from services.worker.results.metadata.webp import kept_of_webp
from services.worker.results.pictures import check_picture
from services.worker.results.pieces import MAX_PIECES, Copy, Piece
from services.worker.results.refusals import Refused, RefusedKind
from services.worker.results.videos import check_video
from shared.jobs.assets import Kind
from shared.jobs.states import Step

# What files begin with that are no MP4 and no RIFF.
STARTS = {
    b"\x89PNG": Kind.PNG,
    b"\xff\xd8\xff": Kind.JPEG,
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"\x1aE\xdf\xa3": "WebM",
}
KEPT = {
    Kind.PNG: kept_of_png,
    Kind.JPEG: kept_of_jpeg,
    Kind.WEBP: kept_of_webp,
}


class Checked(NamedTuple):
    """A good file: its kind, and what is to be kept of it where that is not all."""

    kind: Kind
    pieces: list[Piece] | None


def check(path: Path, step: Step, kinds: Sequence[Kind]) -> Checked:
    """A whole image or a playable video of one of these kinds; else Refused.

    Blocking. OSError where the file itself can't be read.
    """
    if path.stat().st_size == 0:
        raise Refused("The result is empty.")
    with path.open("rb") as file:
        begins_as = _kind_of(file.read(16))
    wanted = " or ".join(kinds)
    if begins_as is None:
        raise Refused(f"The {step} is no {wanted} file.")
    if begins_as not in kinds:
        raise RefusedKind(f"The {step} is a file of the kind {begins_as}, not {wanted}.")
    try:
        return _checked(path, Kind(begins_as))
    except MemoryError:
        raise Refused(f"The {step} needs more memory than a result may.") from None


def _kind_of(beginning: bytes) -> str | None:
    """The kind of a file by its first bytes; None for what is none that we know."""
    if beginning[:4] == b"RIFF":
        return {b"WEBP": Kind.WEBP, b"AVI ": "AVI"}.get(beginning[8:12])
    if beginning[4:8] == b"ftyp":
        return {b"avif": "AVIF", b"heic": "HEIC", b"qt  ": "QuickTime"}.get(
            beginning[8:12], Kind.MP4
        )
    return next((kind for start, kind in STARTS.items() if beginning.startswith(start)), None)


def _checked(path: Path, kind: Kind) -> Checked:
    with path.open("rb") as file:
        if kind is Kind.MP4:
            check_boxes(file)
            check_video(path)
            return Checked(kind, None)
        pieces = KEPT[kind](file)
    check_picture(path, kind)
    return Checked(kind, _unless_all(pieces, path))


def _unless_all(pieces: list[Piece], path: Path) -> list[Piece] | None:
    if pieces == [Copy(0, path.stat().st_size)]:
        return None
    if len(pieces) > MAX_PIECES:
        raise Refused("The result has metadata in more places than a file of ours has.")
    return pieces
