"""Only hosts that the mock was told of, and this machine, are called; no redirect is followed."""

from collections.abc import AsyncIterator

import pytest
from pydantic import ValidationError
from starlette.responses import RedirectResponse
from starlette.types import Receive, Scope, Send

from services.mock_kling.settings import KlingSettings
from tests.services.mock_core.serving import (
    HURRY,
    Json,
    Service,
    kling,
    receiving,
    running,
    served,
    small_picture,
)
from tests.services.mock_kling.client import create, end, submit

CALLBACKS, PICTURES = "Receiver:8001,hooks.example, [2001:DB8::1]:81", "pictures:6889"
LOOPBACK = "http://127.0.0.1:9/x"


@pytest.fixture
async def told() -> AsyncIterator[Service]:
    app = kling(mock_callback_hosts=CALLBACKS, mock_picture_hosts=PICTURES)
    async with running(app) as service:
        service.picture_url = LOOPBACK
        yield service


FOREIGN = [
    "http://169.254.169.254/latest",
    "http://10.0.0.1:8001/callback/kling",
    "http://receiver/callback",
    "http://receiver:8002/callback",
    "https://receiver.evil:8001/callback",
    "https://hooks.example:8443/",
    "http://127.0.0.1@evil.example/",
    "http://127.0.0.1.evil.example/",
    "http://127.1:8001/",
    "http://2130706433/",
    "http://[::ffff:10.0.0.1]/",
    "http://0.0.0.0:8001/",
    "http://receiver:8001:80/",
]


async def test_callbacks_go_only_to_allowed_hosts(told: Service) -> None:
    reason = "the callback_url's host is not in MOCK_CALLBACK_HOSTS"
    for url in FOREIGN:
        plain = await submit(told, callback_url=url)
        problem = plain.json()
        assert (plain.status_code, problem["code"], problem["detail"]) == (400, 1201, reason)
        native = await create(told, callback_url=url)
        assert set(native.json()) == {"code", "message", "request_id"}
        assert (native.status_code, native.json()["code"]) == (400, 1201)
    assert (await told.json("/admin/stats"))["accepted"] == 0


async def test_pictures_come_only_from_allowed_hosts(told: Service) -> None:
    for number, url in enumerate(FOREIGN):
        plain, native = f"plain-{number}", f"native-{number}"
        assert (await submit(told, image_url=url, external_task_id=plain)).status_code == 202
        assert (await create(told, image=url, external_task_id=native)).status_code == 200
    for row in range(len(FOREIGN)):
        for wire in ("plain", "native"):
            ended = await end(told, f"{wire}-{row}")
            assert ended["status"] == "failed"
            assert ended["message"].endswith("its host is not in MOCK_PICTURE_HOSTS")


async def test_named_hosts_and_this_machine_are_allowed(told: Service) -> None:
    for number, url in enumerate(
        (
            "http://receiver:8001/callback/kling?task=a&token=b",
            "http://RECEIVER:8001/",
            "http://user:password@receiver:8001/",
            "https://hooks.example/callback",
            "http://hooks.example:80/callback",
            "http://[2001:db8::1]:81/",
            "http://localhost:1/",
            "http://[::1]:9/",
            LOOPBACK,
            # Judged as the client reads it, which calls this machine.
            "http://evil.example\\@127.0.0.1/",
        )
    ):
        reply = await submit(
            told, image_url=LOOPBACK, callback_url=url, external_task_id=f"j-{number}"
        )
        assert reply.status_code == 202, reply.text
    await submit(told, image_url="http://pictures:6889/img/files/a.png")
    assert (await end(told))["message"] == "image download failed: ConnectError"


class Redirect(RedirectResponse):
    """Sends everybody elsewhere, and counts them."""

    asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        await super().__call__(scope, receive, send)


async def test_redirected_picture_is_not_followed() -> None:
    async with served(small_picture()) as there:
        moved = Redirect(f"{there}/img/files/a.png")
        async with served(moved) as here, running(kling(mock_speed=HURRY)) as service:
            assert (await submit(service, image_url=f"{here}/img/files/a.png")).status_code == 202
            ended: Json = await end(service)
    assert (ended["status"], moved.asked) == ("failed", 1)
    assert ended["message"] == "image download failed: HTTP 307"


async def test_redirected_callback_is_not_followed() -> None:
    async with receiving() as receiver, served(small_picture()) as pictures:
        moved = Redirect(receiver.url)
        async with served(moved) as here, running(kling(mock_speed=HURRY)) as service:
            reply = await submit(
                service, image_url=f"{pictures}/a.png", callback_url=f"{here}/callback"
            )
            assert reply.status_code == 202
            await service.quiet()
    assert moved.asked > 0
    assert receiver.raw == []


@pytest.mark.parametrize("hosts", ["http://a:1", "a:b", "a b", "user@a", "a/b", "a:1:2", "*"])
def test_wrong_host_is_refused(hosts: str) -> None:
    for name in ("mock_callback_hosts", "mock_picture_hosts"):
        with pytest.raises(ValidationError, match="not host:port"):
            KlingSettings.model_validate({name: f"receiver:8001,{hosts}"})
