"""The paths of a job's results: `<data>/assets/<job_id>/image.png` and `video.mp4`."""

from shared.jobs.ids import checked


def assets_prefix(job_id: str) -> str:
    """Return the prefix of a job's results in a store; raise ValueError for an invalid job id."""
    return f"assets/{checked(job_id)}/"


def asset_url(public_url: str, job_id: str, step: str) -> str:
    return f"{public_url.rstrip('/')}/jobs/{job_id}/{step}"
