"""A stack to take pictures of: its own ports and data, fixed prompts, clocks slow enough to see."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.stack.driver import ENDED, Stack, own_settings

SEED = "7"
PROMPTS = ("雪地里的红狐狸", "a lighthouse in a storm", "竹林里的熊猫", "two ships at dawn")
TAG = "pictures"
# A job takes some six seconds, and one that is to be killed in mid-video a dozen.
USUAL, SLOW = 20, 8


@contextmanager
def staged(folder: Path) -> Iterator[Stack]:
    """A running stack of two workers, as processes; gone when the block ends."""
    settings = own_settings(folder, mode="local", project="genvideo-pictures")
    stack = Stack(settings | {"WORKERS": "2", "MOCK_SPEED": str(USUAL), "MOCK_SEED": SEED})
    stack.make("up")
    try:
        yield stack
    finally:
        stack.make("down")


def submit(stack: Stack, prompt: str) -> str:
    """A job in ink, under the pictures' tag; its id."""
    body = {"prompt": prompt, "style": "水墨", "tag": TAG}
    answer = httpx.post(f"{stack.url('API_PORT')}/jobs", json=body, timeout=60)
    return str(answer.raise_for_status().json()["job_id"])


def end(stack: Stack, job_id: str) -> None:
    """Return when the job has ended."""
    stack.follow(job_id, until=ENDED)


def slow_down(stack: Stack, speed: int) -> None:
    """Another speed of both mocks' clocks."""
    for port in ("COMFYUI_PORT", "KLING_PORT"):
        url = f"{stack.url(port)}/admin/config"
        httpx.put(url, json={"speed": speed}, timeout=60).raise_for_status()


def videos_of(stack: Stack, job_id: str) -> int:
    """How many videos of the job the video service has accepted."""
    rows = stack.get("KLING_PORT", "/admin/ledger")
    return sum(str(row["external_id"]).startswith(f"{job_id}.") for row in rows)


def kill(stack: Stack, name: str) -> str:
    """Kill the process of this service; its name."""
    found = re.search(rf"{name} .* pid (\d+)", stack.make("ps", good=None))
    assert found, f"{name} is there no more"
    os.kill(int(found[1]), signal.SIGKILL)
    return name


def kill_worker_of(stack: Stack, job_id: str) -> str:
    """Kill the process that has submitted the job's video; the name of that worker."""
    for part in stack.make("logs", "S=worker", "LINES=10000").split("==> ")[1:]:
        name = re.search(r"(worker-\d)\.log", part)
        if name and any(job_id in line and "request_video" in line for line in part.splitlines()):
            return kill(stack, name[1])
    raise AssertionError(f"no worker has submitted the video of {job_id}")
