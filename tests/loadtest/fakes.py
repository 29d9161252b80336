"""A small pipeline on a real Temporal server, its vendors, and the addresses of a stack."""

import asyncio
import contextlib
import hashlib
import io
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import uvicorn
from fastapi import FastAPI, Header, Request, Response, WebSocket, WebSocketDisconnect
from PIL import Image
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from loadtest.times import timestamp

TAG = SearchAttributeKey.for_keyword("CustomTag")
Row = dict[str, Any]


def picture(name: str) -> bytes:
    """A picture that no other job has."""
    out = io.BytesIO()
    colour = hashlib.sha256(name.encode()).digest()[:3]
    Image.new("RGB", (16, 16), tuple(colour)).save(out, "PNG")
    return out.getvalue()


def film(name: str) -> bytes:
    """A film whose comment is its job's name."""
    out = io.BytesIO()
    with av.open(out, mode="w", format="mp4") as container:
        container.metadata["comment"] = name
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 16
        for _ in range(2):
            frame = av.VideoFrame(16, 16, "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


@workflow.defn(name="GenVideoWorkflow")
class FakeJob:
    """Waits for its permit, then runs both stages."""

    def __init__(self) -> None:
        self._token = 0

    @workflow.run
    async def run(self, job_id: str) -> None:
        await workflow.wait_condition(lambda: self._token > 0)
        for step, kind in (("image", "gen_image"), ("video", "request_video")):
            order = {"step": step, "attempt": 1, "job_id": job_id, "token": self._token}
            await workflow.execute_activity(
                kind, order, start_to_close_timeout=timedelta(seconds=20)
            )

    @workflow.signal
    def slot_granted(self, token: int) -> None:
        self._token = token

    @workflow.signal
    def kling_done(self) -> None:
        """Nothing waits for it here."""


@dataclass
class Behaviour:
    """What goes wrong on purpose."""

    break_feed_after: int | None = None
    refuse_first: int = 0
    never_start: bool = False
    away_after: int | None = None


@dataclass
class Pipeline:
    """Jobs, ledgers and files of the fake stack."""

    client: Client
    data_dir: Path
    queue_name: str
    behaviour: Behaviour
    jobs: dict[str, Row] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    ledgers: dict[str, list[Row]] = field(default_factory=lambda: {"image": [], "video": []})
    receipts: list[Row] = field(default_factory=list)
    listeners: set[asyncio.Queue[Row | None]] = field(default_factory=set)
    transitions: dict[str, list[Row]] = field(default_factory=dict)
    waiting: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    started: set[str] = field(default_factory=set)
    holders: list[str] = field(default_factory=list)
    clock: list[Row] = field(default_factory=list)
    token: int = 0

    @property
    def away(self) -> bool:
        return (
            self.behaviour.away_after is not None and len(self.started) >= self.behaviour.away_after
        )

    def worker(self) -> Worker:
        return Worker(
            self.client,
            task_queue=self.queue_name,
            workflows=[FakeJob],
            activities=[self.gen_image, self.request_video],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )

    async def submit(self, body: Row, key: str) -> str:
        if key in self.keys:
            return self.keys[key]
        job_id = f"job-{hashlib.sha256(key.encode()).hexdigest()[:24]}"
        self.keys[key] = job_id
        await self.client.start_workflow(
            "GenVideoWorkflow",
            job_id,
            id=job_id,
            task_queue=self.queue_name,
            search_attributes=TypedSearchAttributes([SearchAttributePair(TAG, body["tag"])]),
        )
        self.jobs[job_id] = {
            "job_id": job_id,
            **{name: body[name] for name in ("prompt", "style", "tag")},
            "attempts": {"image": 0, "video": 0},
            "error": None,
            "created_at": timestamp(time.time()),
            "started_at": None,
            "finished_at": None,
            "version": 0,
            "tasks": {},
            "assets": {},
            "token": None,
        }
        self.change(job_id, "queued", step=None, percent=0)
        self.started.add(job_id)
        if not self.behaviour.never_start:
            self.waiting.put_nowait(job_id)
        return job_id

    async def keep(self) -> None:
        """The slot: one job at a time."""
        while True:
            job_id = await self.waiting.get()
            self.holders.append(job_id)
            self.token += 1
            token = self.token
            handle = self.client.get_workflow_handle(job_id)
            self.jobs[job_id]["attempts"]["image"] += 1
            self.change(job_id, "running", step="image", percent=0, token=token)
            await handle.signal("slot_granted", token)
            await handle.result()
            self.holders.remove(job_id)
            self.change(job_id, "succeeded", step="video", percent=100)

    def change(
        self, job_id: str, status: str, *, step: str | None, percent: int, **more: Any
    ) -> None:
        job = self.jobs[job_id]
        version = job["version"] + 1
        at = timestamp(time.time())
        job |= {"status": status, "step": step, "percent": percent, "version": version, **more}
        if status != "queued":
            job["started_at"] = job["started_at"] or at
            job["finished_at"] = at if status == "succeeded" else None
        note = {"version": version, "at": at, "attempt": 1 if step else 0}
        note |= {"status": status, "step": step, "percent": percent}
        self.transitions.setdefault(job_id, []).append(note)
        folder = self.data_dir / "state" / "jobs"
        folder.mkdir(parents=True, exist_ok=True)
        record = {**job, "transitions": self.transitions[job_id]}
        (folder / f"{job_id}.json").write_text(json.dumps(record, ensure_ascii=False), "utf-8")
        for listener in self.listeners:
            listener.put_nowait(dict(job))

    @activity.defn
    async def gen_image(self, order: Row) -> Row:
        return await self._generate(order, data=picture(order["job_id"]), name="image.png")

    @activity.defn
    async def request_video(self, order: Row) -> Row:
        job_id = order["job_id"]
        self.jobs[job_id]["attempts"]["video"] += 1
        self.change(job_id, "running", step="video", percent=0)
        made = await self._generate(order, data=film(job_id), name="video.mp4")
        for status in ("processing", "succeed"):
            self.receipts.append(
                {
                    "received_at": timestamp(time.time()),
                    "job_id": job_id,
                    "task_id": f"video-{job_id}",
                    "task_status": status,
                    "fate": "applied",
                }
            )
        return made

    async def _generate(self, order: Row, *, data: bytes, name: str) -> Row:
        job_id, step, token = order["job_id"], order["step"], order["token"]
        job, sha256 = self.jobs[job_id], hashlib.sha256(data).hexdigest()
        accepted = time.time()
        await asyncio.sleep(0.03)
        row = {
            "job_id": f"{step}-{job_id}",
            "external_id": f"{job_id}.{step}.1",
            "accepted_at": accepted,
            "started_at": accepted,
            "finished_at": time.time(),
            "outcome": "succeeded",
            "charged": True,
            "prompt": job["prompt"],
            "token": token,
            "sha256": sha256,
            "callbacks": [],
        }
        if step == "video":
            row["source_sha256"] = job["assets"]["image"]["sha256"]
            row["callbacks"] = [
                {"status": status, "sent_at": time.time(), "reply": 200}
                for status in ("processing", "succeed")
            ]
            job["tasks"][row["external_id"]] = row["job_id"]
        self.ledgers[step].append(row)
        folder = self.data_dir / "assets" / job_id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        job["assets"][step] = {"sha256": sha256, "size": len(data)}
        permit, asset = {"token": token}, {"sha256": sha256}
        return {"vendor_id": row["job_id"], "permit": permit, "asset": asset}

    def totals(self, step: str) -> Row:
        """What a mock counts."""
        rows = self.ledgers[step]
        counts = {"accepted": len(rows), "charged": len(rows), "in_flight": 0, "max_in_flight": 1}
        return {**counts, "open": 0, "duplicates": len(rows) - len({r["job_id"] for r in rows})}


Next = Callable[[Request], Awaitable[Response]]
Middleware = Callable[[Request, Next], Awaitable[Response]]


def create_app(pipeline: Pipeline) -> FastAPI:
    """API, receiver and both vendors; `?step` tells the vendors' admin calls apart by path."""
    app = FastAPI()
    app.middleware("http")(_away_from(pipeline))
    app.add_api_route("/readyz", _ready)
    app.add_api_route("/healthz", _ready)
    _add_jobs(app, pipeline)
    _add_feed(app, pipeline)
    _add_books(app, pipeline)
    return app


def _away_from(pipeline: Pipeline) -> Middleware:
    """A stack that is away answers nothing that a client could read."""

    async def middleware(request: Request, call_next: Next) -> Response:
        if pipeline.away:
            return Response(status_code=502)
        return await call_next(request)

    return middleware


def _ready() -> Row:
    return {"ok": True}


def _add_jobs(app: FastAPI, pipeline: Pipeline) -> None:
    @app.post("/jobs", status_code=202)
    async def submit(body: Row, response: Response, idempotency_key: str = Header()) -> Row:
        if pipeline.behaviour.refuse_first > 0:
            pipeline.behaviour.refuse_first -= 1
            response.status_code = 503
            response.headers["Retry-After"] = "0"
            return {"code": "temporal_away"}
        return {"job_id": await pipeline.submit(body, idempotency_key)}

    @app.get("/jobs")
    def jobs(tag: str, limit: int = 100, cursor: int = 0) -> Row:
        found = [job for job in reversed(pipeline.jobs.values()) if job["tag"] == tag]
        end = cursor + min(limit, 3)
        return {"jobs": found[cursor:end], "next_cursor": end if end < len(found) else None}

    @app.get("/jobs/{job_id}", response_model=None)
    def job(job_id: str) -> Row | Response:
        return pipeline.jobs.get(job_id) or Response(status_code=404)

    @app.get("/slots")
    def slots() -> Row:
        holders = [{"job_id": job_id, "draining": False} for job_id in pipeline.holders]
        return {
            "limit": 1,
            "paused": False,
            "holders": holders,
            "waiting_count": pipeline.waiting.qsize(),
        }


def _add_feed(app: FastAPI, pipeline: Pipeline) -> None:
    @app.websocket("/ws/jobs")
    async def feed(ws: WebSocket) -> None:
        await ws.accept()
        queue: asyncio.Queue[Row | None] = asyncio.Queue()
        pipeline.listeners.add(queue)
        for job in list(pipeline.jobs.values()):
            queue.put_nowait(dict(job))
        left = pipeline.behaviour.break_feed_after
        try:
            while (news := await queue.get()) is not None:
                await ws.send_json(news)
                if left is not None and (left := left - 1) <= 0:
                    await ws.close(1011)
                    return
        except WebSocketDisconnect:
            return
        finally:
            pipeline.listeners.discard(queue)


def _add_books(app: FastAPI, pipeline: Pipeline) -> None:
    @app.get("/callbacks")
    def callbacks(job_id: str) -> list[Row]:
        return [row for row in pipeline.receipts if row["job_id"] == job_id]

    @app.get("/{step}/admin/ledger")
    def ledger(step: str) -> list[Row]:
        return pipeline.ledgers[step]

    @app.get("/{step}/admin/journal")
    def journal(path: str) -> list[Row]:
        return [row for row in pipeline.clock if row["path"] == path]

    @app.get("/{step}/admin/{book}")
    def admin(step: str, book: str) -> Any:
        return {"rules": []} if book == "faults" else {"ok": True, **pipeline.totals(step)}

    @app.get("/{step}/{path}", status_code=404)
    def unknown(step: str, path: str) -> None:
        pipeline.clock.append({"at": time.time(), "path": f"/{path}"})


@contextlib.asynccontextmanager
async def serve(pipeline: Pipeline) -> AsyncIterator[str]:
    """Serve the fake stack, its worker and its slots; yields the base URL."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(create_app(pipeline), log_level="warning", ws="websockets-sansio")
    )
    async with pipeline.worker(), asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(sockets=[listener]))
        semaphore = group.create_task(pipeline.keep())
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            semaphore.cancel()
            for queue in list(pipeline.listeners):
                queue.put_nowait(None)
            server.should_exit = True
            await serving
