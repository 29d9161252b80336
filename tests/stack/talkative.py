"""A vendor that repeats every secret it hears of; its word for a job is the job's prompt."""

import json
from collections import Counter
from typing import Any

import httpx
from fastapi import BackgroundTasks, FastAPI, Request, Response
from fastapi.responses import JSONResponse

from tests.services.worker.samples import mp4, png

Body = dict[str, Any]


class Talkative:
    """Both services in one app; `key` and `signature` are its own secrets, which it tells."""

    def __init__(self, *, key: str, signature: str) -> None:
        self.heard: list[Body] = []
        self._key = key
        self._signature = signature
        self._asked: Counter[tuple[str, str]] = Counter()
        self._prompts: dict[str, str] = {}

    def app(self) -> FastAPI:
        app = FastAPI()
        app.post("/img/submit", status_code=202)(self.submit_image)
        app.post("/video/submit", status_code=202)(self.submit_video)
        app.get("/img/status/{job}")(self.status_image)
        app.get("/video/status/{job}")(self.status_video)
        app.get("/img/result/{job}")(self.result_image)
        app.get("/files/{name}")(self.file)
        return app

    async def submit_image(self, request: Request) -> Response:
        body = await request.json()
        return self._refusal("image", body, request) or self._accept(body["client_id"], body)

    async def submit_video(self, request: Request, later: BackgroundTasks) -> Response:
        body = await request.json()
        if (refusal := self._refusal("video", body, request)) is not None:
            return refusal
        later.add_task(self._call_back, body)
        answer = self._accept(body["external_task_id"], body)
        answer.background = later
        return answer

    def _refusal(self, step: str, body: Body, request: Request) -> Response | None:
        """What a careless service answers: it repeats the request, headers and all."""
        said = f"api_key={self._key} {dict(request.headers)} {json.dumps(body)}"
        self.heard.append({"headers": dict(request.headers), **body})
        self._asked[step, body["prompt"]] += 1
        first = self._asked[step, body["prompt"]] == 1
        match body["prompt"].split():
            case [named, "401"] if named == step:
                return _said(401, 1002, f"Invalid API key: {self._key}; {said}")
            case [named, "400"] if named == step:
                return _said(400, 1201, f"bad {body.get('callback_url', '')}: {said}")
            case [named, "500"] if named == step and first:
                return _said(500, 5000, f"Traceback: {said}")
            case [named, "503"] if named == step and first:
                return Response(f"<html>{said}</html>", 503, headers={"Retry-After": "0"})
        return None

    def _accept(self, ours: str, body: Body) -> Response:
        self._prompts[ours] = body["prompt"]
        return JSONResponse({"job_id": ours}, 202)

    def status_image(self, job: str) -> Response:
        return self._status("image", job, {"status": "succeeded"})

    def status_video(self, job: str, request: Request) -> Response:
        made = {"status": "succeed", "video_url": self._signed(request, "v.mp4")}
        return self._status("video", job, made)

    def _status(self, step: str, job: str, made: Body) -> Response:
        prompt = self._prompts.get(job)
        if prompt is None:
            return _said(404, 1203, "unknown")
        if prompt == f"{step} fails":
            why = f'File "/srv/secret/run.py": token {self._signature}, api_key="{self._key}"'
            made = {"status": "failed", "error": why, "message": why}
        return JSONResponse({"job_id": job, "percent": 100} | made)

    def result_image(self, job: str, request: Request) -> Body:
        return {"job_id": job, "asset_url": self._signed(request, "i.png")}

    def _signed(self, request: Request, name: str) -> str:
        return f"{str(request.base_url).rstrip('/')}/files/{name}?sig={self._signature}"

    def file(self, name: str, sig: str) -> Response:
        """Nothing without the signature."""
        if sig != self._signature:
            return Response(status_code=403)
        return Response(mp4() if name.endswith("mp4") else png())

    async def _call_back(self, body: Body) -> None:
        """An end with all its secrets, and some callbacks that nobody should send."""
        url = body["callback_url"]
        told = {
            "task_id": body["external_task_id"],
            "task_status": "succeed",
            "task_status_msg": f"told to {url} with api_key={self._key}",
            "updated_at": 1,
            "task_info": {"external_task_id": body["external_task_id"]},
            "task_result": {"videos": [{"url": f"http://cdn/v.mp4?sig={self._signature}"}]},
        }
        async with httpx.AsyncClient(trust_env=False) as http:
            await http.post(f"{url}{self._key[:4]}", json=told)
            await http.post(url, content=json.dumps(told)[:-9])
            await http.post(url, json={**told, "task_status": self._key})
            await http.post(url, json=told)


def _said(status: int, code: int, message: str) -> Response:
    return JSONResponse({"code": code, "message": message}, status)
