"""Whether callbacks would arrive is told before a video is paid for."""

import pytest
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp

from services.worker.doctor.callbacks import callbacks
from services.worker.settings.addresses import Address
from services.worker.vendors.findings import Finding
from services.worker.vendors.vendor import Traits
from tests.services.mock_core.serving import served
from tests.services.worker.doctor.made import PRIVATE, resolve, settings

PUSHES = Traits(pushes=True)
FAR, NEAR = "https://kling.example", "http://127.0.0.1:16882"


async def found(callback: str, video: str = FAR, *, receiver: bool = False) -> Finding:
    given = settings(callback_url=callback, video_service_url=video)
    [finding] = await callbacks(given, PUSHES, receiver=receiver, resolve=resolve)
    assert finding.check == "callbacks"
    assert "\n" not in finding.says
    return finding


async def test_nothing_is_said_where_the_vendor_calls_nobody_back() -> None:
    assert await callbacks(settings(), Traits(), receiver=True, resolve=resolve) == []


@pytest.mark.parametrize(
    ("callback", "video", "verdict", "says"),
    [
        ("http://127.0.0.1:8001", NEAR, "ok", "they stay on this machine"),
        ("http://localhost:8001", "http://host.docker.internal:9", "ok", "they stay"),
        ("http://127.0.0.1:8001", FAR, "warning", "found by polling alone"),
        ("http://localhost:8001", f"http://{PRIVATE}", "warning", "the video vendor elsewhere"),
        ("http://inside.example", FAR, "warning", "is not public, which the video vendor is"),
        ("http://receiver:8001", NEAR, "ok", "shows once it runs"),
        ("https://us.example", FAR, "ok", "shows once it runs"),
        ("https://nowhere.example", FAR, "wrong", "leads to no address"),
        ("https://nowhere.example", NEAR, "wrong", "no callback can arrive"),
    ],
)
async def test_what_shows_before_the_receiver_runs(
    callback: str, video: str, verdict: str, says: str
) -> None:
    finding = await found(callback, video)
    assert (finding.verdict, says in finding.says) == (verdict, True), finding.says
    assert f"CALLBACK_URL={callback}" in finding.says


async def test_what_a_proxy_alone_can_look_up_is_no_reason_to_refuse() -> None:
    given = settings(
        callback_url="https://nowhere.example",
        video_service_url=FAR,
        vendor_proxy="http://127.0.0.1:1",
    )
    [finding] = await callbacks(given, PUSHES, receiver=False, resolve=resolve)
    assert (finding.verdict, "VENDOR_PROXY" in finding.says) == ("warning", True)


@pytest.mark.parametrize(
    ("app", "verdict", "says"),
    [
        (JSONResponse({"status": "ok"}), "ok", "the receiver answers there"),
        (PlainTextResponse("welcome"), "wrong", "somebody else than the receiver"),
        (JSONResponse({"status": "ok"}, 404), "wrong", "(HTTP 404)"),
    ],
)
async def test_who_answers_there_is_asked_while_the_receiver_runs(
    app: ASGIApp, verdict: str, says: str
) -> None:
    async with served(app) as base:
        port = base.rpartition(":")[2]
        finding = await asked(f"http://127.0.0.1:{port}/base")
    assert (finding.verdict, says in finding.says) == (verdict, True), finding.says


async def test_a_receiver_that_can_not_be_reached_from_here_may_be_from_elsewhere() -> None:
    finding = await asked("http://127.0.0.1:1")
    assert (finding.check, finding.verdict) == ("receiver", "warning")
    assert "can't be reached there from here" in finding.says


async def asked(callback: str) -> Finding:
    """As if the address were one of the network, which loopback is not."""

    async def elsewhere(host: str, port: int) -> list[Address]:
        return await resolve(PRIVATE, port)

    given = settings(callback_url=callback, video_service_url=NEAR)
    [finding] = await callbacks(given, PUSHES, receiver=True, resolve=elsewhere)
    return finding
