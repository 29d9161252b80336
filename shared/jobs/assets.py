"""Where a job's results lie: `<data>/assets/<job_id>/image.png` and `video.mp4`."""

from pathlib import Path

from shared.jobs.ids import checked


def assets_prefix(job_id: str) -> str:
    """Below which a store has a job's results; ValueError for what is no job id."""
    return f"assets/{checked(job_id)}/"


def assets_folder(data_dir: Path, job_id: str) -> Path:
    """The folder of a job's results; ValueError for what is no job id."""
    return data_dir / assets_prefix(job_id)


def asset_url(public_url: str, job_id: str, step: str) -> str:
    """The address under which the API serves that file."""
    return f"{public_url.rstrip('/')}/jobs/{job_id}/{step}"
