"""The fake pipeline behind real HTTP and a real WebSocket, all services on one free port."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import uvicorn
from fastapi import FastAPI, Header, Request, Response, WebSocket, WebSocketDisconnect

from tests.loadtest.fake_pipeline import Pipeline, Row

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
        semaphores = [group.create_task(pipeline.keep()) for _ in range(pipeline.behaviour.workers)]
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for semaphore in semaphores:
                semaphore.cancel()
            for queue in list(pipeline.listeners):
                queue.put_nowait(None)
            server.should_exit = True
            await serving
