"""A worker whose slot is a semaphore in its own process, held per activity: wrong on purpose."""

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from loadtest.wire.http import Http, Unreachable

QUEUE = "naive"
POLL_SECONDS = 0.02
_TIMEOUT = timedelta(minutes=10)


@dataclass(frozen=True)
class NaiveJob:
    """One job, as it travels through Temporal."""

    job_id: str
    prompt: str
    style: str
    tag: str
    image_url: str = ""


@workflow.defn(name="GenVideoWorkflow")
class NaiveWorkflow:
    """Two activities in a row; nothing of it knows of any other job."""

    @workflow.run
    async def run(self, job: NaiveJob) -> None:
        url = await workflow.execute_activity_method(
            NaiveActivities.gen_image, job, start_to_close_timeout=_TIMEOUT
        )
        await workflow.execute_activity_method(
            NaiveActivities.request_video,
            dataclasses.replace(job, image_url=url),
            start_to_close_timeout=_TIMEOUT,
        )


class NaiveActivities:
    """The vendors' calls; `gate` is the mistake: another process has another one."""

    def __init__(self, image: Http, video: Http, *, data_dir: Path) -> None:
        self._image, self._video = image, video
        self._records = NaiveRecords(data_dir)
        self._assets = data_dir / "assets"
        self.gate = asyncio.Semaphore(1)

    @activity.defn
    async def gen_image(self, job: NaiveJob) -> str:
        """Make the image and store it; returns its address."""
        async with self.gate:
            self._records.change(job, "running", step="image", percent=0)
            body = {"prompt": job.prompt, "style": job.style, "client_id": f"{job.job_id}.image.1"}
            vendor_id = await _submit(self._image, "/img/submit", body)
            await _until(self._image, f"/img/status/{vendor_id}", {"succeeded"})
            answer = await self._image.get(f"/img/result/{vendor_id}")
            url = str(answer.body["asset_url"])
            await self._store(job, "image.png", self._image, url=url)
        return url

    @activity.defn
    async def request_video(self, job: NaiveJob) -> None:
        """Make the video and store it; no callback is asked for, since nothing would listen."""
        async with self.gate:
            self._records.change(job, "running", step="video", percent=0)
            body = {
                "image_url": job.image_url,
                "prompt": job.prompt,
                "duration": "5",
                "external_task_id": f"{job.job_id}.video.1",
            }
            vendor_id = await _submit(self._video, "/video/submit", body)
            status = await _until(self._video, f"/video/status/{vendor_id}", {"succeed"})
            await self._store(job, "video.mp4", self._video, url=str(status["video_url"]))
        self._records.change(job, "succeeded", step="video", percent=100)

    async def _store(self, job: NaiveJob, name: str, http: Http, *, url: str) -> None:
        data = await http.download(url)
        folder = self._assets / job.job_id
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread((folder / name).write_bytes, data or b"")


async def _submit(http: Http, path: str, body: dict[str, Any]) -> str:
    answer = await http.post(path, body)
    if not answer.ok:
        raise Unreachable(f"{path}: {answer.problem}")
    return str(answer.body["job_id"])


async def _until(http: Http, path: str, wanted: set[str]) -> dict[str, Any]:
    while True:
        answer = await http.get(path)
        body = answer.body if answer.ok and isinstance(answer.body, dict) else {}
        if body.get("status") in wanted:
            return body
        if body.get("status") == "failed":
            raise Unreachable(f"{path}: failed")
        await asyncio.sleep(POLL_SECONDS)


class NaiveRecords:
    """JSON records as a first attempt writes them: read, changed, written over."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "state" / "jobs"
        self._folder.mkdir(parents=True, exist_ok=True)

    def all(self) -> list[dict[str, Any]]:
        return [found for path in self._folder.glob("*.json") if (found := _read(path))]

    def get(self, job_id: str) -> dict[str, Any] | None:
        return _read(self._folder / f"{job_id}.json")

    def change(self, job: NaiveJob, status: str, *, step: str | None, percent: int) -> None:
        """Note a change of a job."""
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        record = self.get(job.job_id) or _new(job, now)
        version = len(record["transitions"])
        record |= {"status": status, "step": step, "percent": percent, "version": version}
        if step is not None:
            record["attempts"][step] = 1
        if status == "running" and record["started_at"] is None:
            record["started_at"] = now
        if status == "succeeded":
            record["finished_at"] = now
        change = {"version": version, "at": now, "status": status, "step": step}
        record["transitions"].append({**change, "percent": percent, "attempt": 1, "note": ""})
        text = json.dumps(record, ensure_ascii=False)
        (self._folder / f"{job.job_id}.json").write_text(text, encoding="utf-8")


def _new(job: NaiveJob, now: str) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "prompt": job.prompt,
        "style": job.style,
        "tag": job.tag,
        "attempts": {"image": 0, "video": 0},
        "error": None,
        "created_at": now,
        "started_at": None,
        "finished_at": None,
        "transitions": [],
    }


def _read(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else None
    return None


@contextlib.asynccontextmanager
async def activities(
    image_url: str, video_url: str, data_dir: Path
) -> AsyncIterator[NaiveActivities]:
    """Activities with clients of both vendors."""
    async with Http(image_url) as image, Http(video_url) as video:
        yield NaiveActivities(image, video, data_dir=data_dir)
