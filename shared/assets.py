"""Where a job's results lie: `<data>/assets/<job_id>/image.png` and `video.mp4`, by their kind."""

import os
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from shared.ids import is_job_id
from shared.states import Step


class Kind(StrEnum):
    """What a result may be, by Pillow's and FFmpeg's names."""

    PNG = "PNG"
    JPEG = "JPEG"
    WEBP = "WEBP"
    MP4 = "MP4"


# Of each stage, all that its file may be; the first is what the small contract knows.
KINDS: dict[Step, tuple[Kind, ...]] = {
    Step.IMAGE: (Kind.PNG, Kind.JPEG, Kind.WEBP),
    Step.VIDEO: (Kind.MP4,),
}
SUFFIXES = {Kind.PNG: "png", Kind.JPEG: "jpg", Kind.WEBP: "webp", Kind.MP4: "mp4"}
MEDIA_TYPES = {
    Kind.PNG: "image/png",
    Kind.JPEG: "image/jpeg",
    Kind.WEBP: "image/webp",
    Kind.MP4: "video/mp4",
}


class Found(NamedTuple):
    """A file that is there."""

    path: Path
    kind: Kind
    stat: os.stat_result


def asset_path(data_dir: Path, job_id: str, step: Step, *, kind: Kind | None = None) -> Path:
    """The file of one stage's result, if it is of this kind; ValueError for what is no job id."""
    return assets_folder(data_dir, job_id) / file_name(step, kind or KINDS[step][0])


def file_name(step: Step, kind: Kind) -> str:
    """`image.png` and its likes."""
    return f"{step}.{SUFFIXES[kind]}"


def find_asset(data_dir: Path, job_id: str, step: Step) -> Found | None:
    """The stored file of one stage, whatever its kind; None where there is none. Blocking.

    The newest one where there are two: whoever stores one removes the others after that.
    """
    found = [
        Found(path, kind, stat)
        for kind in KINDS[step]
        if (stat := _stat(path := asset_path(data_dir, job_id, step, kind=kind))) is not None
    ]
    return max(found, key=lambda each: each.stat.st_mtime_ns, default=None)


def assets_folder(data_dir: Path, job_id: str) -> Path:
    """The folder of a job's results; ValueError for what is no job id."""
    if not is_job_id(job_id):
        raise ValueError(f"not a job id: {job_id!r}")
    return data_dir / "assets" / job_id


def asset_url(public_url: str, job_id: str, step: Step) -> str:
    """The address under which the API serves that file."""
    return f"{public_url.rstrip('/')}/jobs/{job_id}/{step}"


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
