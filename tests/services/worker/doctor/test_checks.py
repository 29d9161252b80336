"""The doctor's checks: findings before a job is paid, each with its setting."""

import asyncio
import ipaddress
import json
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from starlette.responses import JSONResponse, PlainTextResponse

from services.worker.doctor import checks
from services.worker.doctor.checks import CHECKS, Subject, examined
from services.worker.settings.worker import WorkerSettings
from shared.errors import RefusedForGood
from shared.pipeline.fetching import Resolve
from shared.pipeline.findings import Finding, Verdict, ok
from shared.pipeline.hosts import Address
from shared.pipeline.vendor import Traits, Vendor
from tests.services.mock_core.serving import Service, served
from tests.services.worker.graphs.examples import WITHOUT_MODELS

PUBLIC, PRIVATE = "93.184.215.14", "192.168.1.20"
NAMES = {
    "kling.example": PUBLIC,
    "us.example": PUBLIC,
    "cdn.example": PUBLIC,
    "inside.example": PRIVATE,
    "receiver": PRIVATE,
    "localhost": "127.0.0.1",
    "host.docker.internal": "172.17.0.1",
}


def settings(**values: str) -> WorkerSettings:
    """With the defaults, whatever the environment says, but for these."""
    return WorkerSettings.model_validate({"callback_secret": "x" * 32} | values)


async def resolve(host: str, port: int) -> list[Address]:
    """As the system's resolver, for these names and for addresses."""
    try:
        return [ipaddress.ip_address(NAMES.get(host, host))]
    except ValueError:
        raise socket.gaierror(socket.EAI_NONAME, "not known") from None


NONE, PUSHES = Traits(), Traits(pushes=True)


@dataclass(frozen=True)
class Plain:
    """A vendor that offers no more than it must."""

    traits: Traits = NONE
    headers: Mapping[str, str] = field(default_factory=dict)
    examined, offer = Vendor.examined, Vendor.offer

    def credentials(self) -> Mapping[str, str]:
        return self.headers


class Refusing(Plain):
    """One whose own check fails."""

    async def examined(self) -> list[Finding]:
        raise RefusedForGood("HTTP 401")


def subject(
    given: WorkerSettings,
    videos: Traits = NONE,
    *,
    headers: Mapping[str, str] | None = None,
    receiver: bool = False,
    resolve: Resolve = resolve,
) -> Subject:
    return Subject(
        settings=given,
        images=cast(Vendor, Plain(headers=headers or {})),
        videos=cast(Vendor, Plain(videos)),
        receiver=receiver,
        resolve=resolve,
    )


async def run(*words: str, **environ: str) -> tuple[int | None, list[str], str]:
    """Its status, its lines, and what it complains of."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.worker.doctor", *words),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode().splitlines(), err.decode()


def urls(image: Service, video: Service) -> dict[str, str]:
    return {
        "IMAGE_SERVICE_URL": str(image.http.base_url),
        "VIDEO_SERVICE_URL": str(video.http.base_url),
    }


async def test_both_mocks_pass(image_mock: Service, video_mock: Service) -> None:
    status, lines, _ = await run(**urls(image_mock, video_mock))
    *told, empty, last = lines
    assert (status, empty) == (0, "")
    assert [line.split(":")[0] for line in told] == [
        "ok       image service",
        "ok       video service",
        "ok       callbacks",
    ]
    found: dict[str, Any] = json.loads(last)
    assert {each["verdict"] for each in found["findings"]} == {"ok"}
    assert found["offers"]["video"].startswith("the video service at http://127.0.0.1:")
    for mock in (image_mock, video_mock):
        assert await mock.json("/admin/ledger") == []


async def test_missing_vendor_sets_the_exit_status(
    image_mock: Service, video_mock: Service
) -> None:
    there = urls(image_mock, video_mock) | {"VIDEO_SERVICE_URL": "http://127.0.0.1:1"}
    status, lines, _ = await run(**there)
    assert status == 1
    assert [line for line in lines if line.startswith("away")] == [lines[1]]
    assert json.loads(lines[-1])["findings"][1]["verdict"] == "away"


async def test_wrong_settings_are_one_line() -> None:
    status, lines, complaint = await run(IMAGE_SERVICE_URL="ftp://x")
    assert (status, lines) == (2, [])
    assert complaint.startswith("wrong settings: IMAGE_SERVICE_URL: ")


async def test_vendor_may_lack_a_check_and_its_failure_is_a_finding() -> None:
    looked_at = Subject(
        settings=settings(),
        images=cast(Vendor, Plain()),
        videos=cast(Vendor, Refusing()),
        resolve=resolve,
    )
    found = await examined(looked_at)
    assert found.findings == [Finding("video vendor", Verdict.WRONG, "can't be examined: HTTP 401")]
    assert found.offers == dict.fromkeys(
        ("image", "video"), "it does not say what it makes them with"
    )


FAR, NEAR = "https://kling.example", "http://127.0.0.1:16882"


async def found(callback: str, video: str = FAR, *, receiver: bool = False) -> Finding:
    given = settings(callback_url=callback, video_service_url=video)
    [finding] = await CHECKS["callbacks"](subject(given, PUSHES, receiver=receiver))
    assert finding.check == "callbacks"
    assert "\n" not in finding.says
    return finding


async def test_vendor_without_callbacks_needs_no_receiver() -> None:
    assert await CHECKS["callbacks"](subject(settings(), receiver=True)) == []


async def test_findings_before_the_receiver_runs() -> None:
    for callback, video, verdict, says in (
        ("http://127.0.0.1:8001", NEAR, "ok", "they stay on this machine"),
        ("http://localhost:8001", "http://host.docker.internal:9", "ok", "they stay"),
        ("http://127.0.0.1:8001", FAR, "warning", "only polling finds"),
        ("http://localhost:8001", f"http://{PRIVATE}", "warning", "the video vendor is elsewhere"),
        ("http://inside.example", FAR, "warning", "is not public, but the video vendor is"),
        ("http://receiver:8001", NEAR, "ok", "can be checked there when it runs"),
        ("https://us.example", FAR, "ok", "can be checked there when it runs"),
        ("https://nowhere.example", FAR, "wrong", "does not resolve"),
        ("https://nowhere.example", NEAR, "wrong", "no callback can arrive"),
    ):
        finding = await found(callback, video)
        assert (finding.verdict, says in finding.says) == (verdict, True), finding.says
        assert f"CALLBACK_URL={callback}" in finding.says


async def test_name_known_only_to_the_proxy_is_no_failure() -> None:
    given = settings(
        callback_url="https://nowhere.example",
        video_service_url=FAR,
        vendor_proxy="http://127.0.0.1:1",
    )
    [finding] = await CHECKS["callbacks"](subject(given, PUSHES))
    assert (finding.verdict, "VENDOR_PROXY" in finding.says) == ("warning", True)


async def test_running_receiver_is_called() -> None:
    for app, verdict, says in (
        (JSONResponse({"status": "ok"}), "ok", "the receiver answers there"),
        (PlainTextResponse("welcome"), "wrong", "another program than the receiver"),
        (JSONResponse({"status": "ok"}, 404), "wrong", "(HTTP 404)"),
    ):
        async with served(app) as base:
            port = base.rpartition(":")[2]
            finding = await asked(f"http://127.0.0.1:{port}/base")
        assert (finding.verdict, says in finding.says) == (verdict, True), finding.says
        # It may be reachable from elsewhere.
        away = await asked("http://127.0.0.1:1")
        assert (away.check, away.verdict) == ("receiver", "warning")


async def asked(callback: str) -> Finding:
    """As if the address were one of the network, which loopback is not."""

    async def elsewhere(host: str, port: int) -> list[Address]:
        return await resolve(PRIVATE, port)

    given = settings(callback_url=callback, video_service_url=NEAR)
    [finding] = await CHECKS["callbacks"](subject(given, PUSHES, receiver=True, resolve=elsewhere))
    return finding


async def result_hosts(
    given: WorkerSettings, traits: Traits, *, resolve: Resolve = resolve
) -> list[Finding]:
    far = given.model_copy(update={"video_service_url": FAR})
    return await CHECKS["result hosts"](subject(far, traits, resolve=resolve))


async def test_result_hosts_of_user_and_vendor_are_resolved() -> None:
    traits = Traits(result_hosts=("*.cdn.example", "us.example:444"))
    found = await result_hosts(settings(result_hosts=f"kling.example, {PRIVATE}:8188"), traits)
    named = f"*.cdn.example, {PRIVATE}:8188, kling.example, us.example:444"
    assert found == [ok("result hosts", f"known: {named}")]


async def test_unresolved_host_is_a_warning() -> None:
    for host, says in (
        ("gone.example", "gone.example does not resolve"),
        ("*.gone.example", "none of them resolves here: *.gone.example"),
        ("inside.example:80", f"inside.example:80 resolves to {PRIVATE}, which is not public"),
    ):
        given = settings(result_hosts=f"kling.example,{host}")
        [finding] = await result_hosts(given, NONE)
        assert finding.verdict is Verdict.WARNING
        assert finding.says.startswith(says)
        behind_a_proxy = settings(result_hosts=host, vendor_proxy="http://127.0.0.1:1")
        assert await result_hosts(behind_a_proxy, NONE) == []
        near = subject(settings(), Traits(result_hosts=(host,)))
        assert await CHECKS["result hosts"](near) == []


async def test_silent_resolver_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(host: str, port: int) -> list[Address]:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(checks, "SECONDS", 0.01)
    [finding] = await result_hosts(settings(result_hosts="x.example"), NONE, resolve=never)
    assert finding.verdict is Verdict.WARNING


async def test_one_resolved_host_of_the_vendor_is_enough() -> None:
    some, none = (
        Traits(result_hosts=("*.gone.example", "*.cdn.example")),
        Traits(result_hosts=("*.gone.example", "v1.gone.example")),
    )
    [finding] = await result_hosts(settings(), some)
    assert finding == ok("result hosts", "known: *.cdn.example, *.gone.example")
    [finding] = await result_hosts(settings(), none)
    assert finding.verdict is Verdict.WARNING
    assert finding.says == "none of them resolves here: *.gone.example, v1.gone.example"


COMFYUI = {"image_api": "comfyui", "comfyui_workflow": str(WITHOUT_MODELS)}
KLING = {"video_api": "kling", "kling_api_key": "k"}
OWN = {"video_api": "examples.fal.vendor:FalVideos"}


async def told(headers: Mapping[str, str], **given: str) -> list[str]:
    found = await CHECKS["access"](subject(settings(**given), headers=headers))
    assert {each.verdict for each in found} <= {"warning"}
    return [f"{each.check}: {each.says}" for each in found]


async def test_comfyui_findings() -> None:
    for url, headers, says in (
        ("https://us.example", {}, "ComfyUI access: COMFYUI_URL is public and needs no key"),
        ("http://us.example:8188", {}, "ComfyUI access: COMFYUI_URL is public"),
        ("http://us.example", {"X-API-Key": "k"}, "ComfyUI access: COMFYUI_HEADERS is sent over"),
        ("https://us.example", {"X-API-Key": "k"}, None),
        (f"http://{PRIVATE}:8188", {}, None),
        ("http://nowhere.example", {}, None),
    ):
        found = await told(headers, image_service_url=url, **COMFYUI, **KLING)
        assert len(found) == (says is not None)
        assert all(each.startswith(str(says)) for each in found)


@pytest.mark.parametrize(("headers", "warned"), [({"X-API-Key": "k"}, 1), ({}, 0)])
async def test_video_service_that_fetches_from_a_guarded_comfyui(
    headers: dict[str, str], warned: int
) -> None:
    found = await told(headers, **COMFYUI)
    assert len(found) == warned
    assert all(each.startswith("ComfyUI images: the video service") for each in found)
    assert await told(headers, **COMFYUI, **KLING) == []


@pytest.mark.parametrize(
    ("url", "warned"),
    [("http://kling.example", 1), ("https://kling.example", 0), ("http://127.0.0.1:9", 0)],
)
@pytest.mark.parametrize("vendor", [KLING, OWN], ids=["kling", "of the user"])
async def test_key_of_the_video_vendor(url: str, warned: int, vendor: dict[str, str]) -> None:
    assert len(await told({}, video_service_url=url, **vendor)) == warned


async def test_services_of_the_contract_get_no_key() -> None:
    here = {"image_service_url": "http://us.example", "video_service_url": "http://us.example"}
    assert await told({}, **here) == []
