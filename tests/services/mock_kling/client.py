"""Calls of the plain wire and of the vendor's own."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import httpx
import jwt

from services.mock_comfyui.pictures import draw_picture
from services.mock_kling.settings import DEFAULT_API_KEY, DEFAULT_SECRET_KEY
from tests.services.mock_core.serving import Json, Receiver, Service

TASK = "job-1.video.1"


async def submit(
    service: Service, receiver: Receiver | None = None, **changes: object
) -> httpx.Response:
    body: Json = {
        "image_url": service.picture_url,
        "prompt": "猫在跑",
        "duration": "5",
        "external_task_id": TASK,
        **changes,
    }
    if receiver is not None:
        body["callback_url"] = receiver.url
    return await service.post("/video/submit", body)


async def end(service: Service, any_id: str = TASK) -> Json:
    ended = ("succeed", "failed")
    return dict(await service.until(f"/video/status/{any_id}", lambda it: it["status"] in ended))


async def finish(service: Service, receiver: Receiver) -> None:
    """Submit, and wait until nothing runs and no callback is on its way; no status call."""
    assert (await submit(service, receiver)).status_code == 202
    await service.quiet()


SHAPES = json.loads((Path(__file__).parent / "documented" / "shapes.json").read_text())
TASKS = "/v1/videos/image2video"
PICTURE = base64.b64encode(draw_picture("猫", "", "", size=(400, 300))).decode()


def token(key: str = "mock-access-key", secret: str = DEFAULT_SECRET_KEY, **claims: Any) -> str:
    now = int(time.time())
    told = {"iss": key, "exp": now + 1800, "nbf": now - 5, **claims}
    return jwt.encode(told, secret, algorithm="HS256")


def auth(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


# A token's life is used up in nominal time, a key's isn't.
KEY = auth(DEFAULT_API_KEY)


async def create(service: Service, **changes: object) -> httpx.Response:
    body = {"image": PICTURE, "prompt": "跑", "external_task_id": "job-1.video.1", **changes}
    return await service.post(TASKS, body, **KEY)


async def query(service: Service, any_id: str) -> Json:
    reply = await service.http.get(f"{TASKS}/{any_id}", headers=KEY)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def ended(service: Service, any_id: str = "job-1.video.1") -> Json:
    await service.quiet()
    return await query(service, any_id)


def shape(value: object) -> object:
    """Names and types, all the way down."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__
