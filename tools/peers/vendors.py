"""The steps of a job as every peer calls them; each tells on standard output where it is.

As one would write them who trusts in the engine alone: a submit carries an id of its own each
time, and nothing is looked up before it is repeated.
"""

import os
import random
import sys
import time
from typing import Any

import httpx

POLL_SECONDS = 0.02
SERVER = os.environ.get("PEER_SERVER", "")
_IMAGES = os.environ.get("PEER_IMAGES", "")
_VIDEOS = os.environ.get("PEER_VIDEOS", "")
_HTTP = httpx.Client(trust_env=False, timeout=30)


def tell(what: str, job: str = "-") -> None:
    """A line that the driver reads."""
    sys.__stdout__.write(f"\npeer {what} {job} {time.time():.4f}\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


def image(job: str) -> str:
    """The first step; where the picture is."""
    tell("image", job)
    body = {"prompt": job, "style": "ink", "client_id": _id_of(job, "image")}
    accepted = _asked("POST", f"{_IMAGES}/img/submit", body)["job_id"]
    while _asked("GET", f"{_IMAGES}/img/status/{accepted}")["status"] != "succeeded":
        time.sleep(POLL_SECONDS)
    return str(_asked("GET", f"{_IMAGES}/img/result/{accepted}")["asset_url"])


def start_video(job: str, picture: str) -> str:
    """Order the second step; the vendor's id."""
    tell("order", job)
    body = {"prompt": job, "image_url": picture, "external_task_id": _id_of(job, "video")}
    return str(_asked("POST", f"{_VIDEOS}/video/submit", body)["job_id"])


def await_video(job: str, accepted: str) -> None:
    """Return when the second step is done."""
    tell("video", job)
    while _asked("GET", f"{_VIDEOS}/video/status/{accepted}")["status"] != "succeed":
        time.sleep(POLL_SECONDS)
    tell("ended", job)


def run(job: str) -> None:
    """All of it in one go."""
    await_video(job, start_video(job, image(job)))


def _id_of(job: str, step: str) -> str:
    return f"{job}.{step}.{random.randrange(10_000)}"  # noqa: S311 - a name, no secret


def _asked(method: str, url: str, body: dict[str, str] | None = None) -> dict[str, Any]:
    reply = _HTTP.request(method, url, json=body).raise_for_status().json()
    return dict(reply)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        run(name)
