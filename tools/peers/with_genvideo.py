"""This repository: its worker as it is, but that it tells where it is; its API takes the jobs.

No environment of its own: it runs by the Python that runs the bench.
"""

import json
import os
import sys
import threading
from functools import cache
from pathlib import Path
from unittest.mock import patch

import httpx
from temporalio import activity

from services.worker.__main__ import main as worker
from services.worker.vendors import chosen
from services.worker.vendors.service import ImageService, VideoService
from shared.pipeline.vendor import SourceFile, VendorStatus
from tests.fixtures.processes import free_port
from tools.peers import vendors
from tools.peers.servers import until
from tools.peers.temporal_servers import is_ready


@cache
def tell_once(what: str, job_id: str) -> None:
    """By the job's name, which is what its record has as its prompt."""
    record = Path(os.environ["DATA_DIR"], "state/jobs", f"{job_id}.json")
    vendors.tell(what, json.loads(record.read_bytes())["prompt"])


class Images(ImageService):
    async def submit(self, external_id: str, token: int, *, prompt: str, style: str) -> str:
        vendors.tell("image", prompt)
        return await super().submit(external_id, token, prompt=prompt, style=style)


class Videos(VideoService):
    async def submit(
        self, external_id: str, token: int, *, prompt: str, source: SourceFile, callback_url: str
    ) -> str:
        vendors.tell("order", prompt)
        return await super().submit(
            external_id, token, prompt=prompt, source=source, callback_url=callback_url
        )

    async def status(self, task_id: str) -> VendorStatus | None:
        info = activity.info()
        if info.activity_type == "collect_video":
            tell_once("video", info.workflow_id or "")
        found = await super().status(task_id)
        if found and found.state == "succeeded":
            tell_once("ended", info.workflow_id or "")
        return found


def work() -> None:
    port = str(free_port())
    os.environ |= {
        "IMAGE_SERVICE_URL": os.environ["PEER_IMAGES"],
        "VIDEO_SERVICE_URL": os.environ["PEER_VIDEOS"],
        "WORKER_HTTP_PORT": port,
    }
    # Its own command has no such words.
    sys.argv[1:] = []
    threading.Thread(target=tell_when_ready, args=[port], daemon=True).start()
    with (
        patch.object(chosen, "ImageService", Images),
        patch.object(chosen, "VideoService", Videos),
    ):
        worker()


def tell_when_ready(port: str) -> None:
    until(lambda: is_ready(port), "the worker")
    vendors.tell("ready")


def main(verb: str, *names: str) -> None:
    if verb == "work":
        work()
    for name in names:
        job = {"prompt": name, "style": "ink"}
        httpx.post(f"{vendors.SERVER}/jobs", json=job, trust_env=False).raise_for_status()


if __name__ == "__main__":
    main(*sys.argv[1:])
