"""Where a job's results lie: `<data>/assets/<job_id>/image.png` and `video.mp4`, by their kind."""

from enum import StrEnum
from pathlib import Path

from shared.jobs.ids import checked
from shared.jobs.states import Step


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


def asset_path(data_dir: Path, job_id: str, step: Step, *, kind: Kind | None = None) -> Path:
    """The file of one stage's result, if it is of this kind; ValueError for what is no job id."""
    return assets_folder(data_dir, job_id) / file_name(step, kind or KINDS[step][0])


def file_name(step: Step, kind: Kind) -> str:
    """`image.png` and its likes."""
    return f"{step}.{SUFFIXES[kind]}"


def assets_prefix(job_id: str) -> str:
    """Below which a store has a job's results; ValueError for what is no job id."""
    return f"assets/{checked(job_id)}/"


def assets_folder(data_dir: Path, job_id: str) -> Path:
    """The folder of a job's results; ValueError for what is no job id."""
    return data_dir / assets_prefix(job_id)


def asset_url(public_url: str, job_id: str, step: Step) -> str:
    """The address under which the API serves that file."""
    return f"{public_url.rstrip('/')}/jobs/{job_id}/{step}"
