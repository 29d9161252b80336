"""What a service that speaks the small contract, or doesn't, is found to be before it is paid."""

import httpx
import pytest

from services.worker.vendors.service import ImageService, VideoService
from services.worker.vendors.vendor import Finding, Verdict
from tests.services.mock_core.serving import Service
from tests.services.worker.vendors.stub import Answer, StubVendor, reply


class Any(dict[str, list[Answer]]):
    """One answer for whatever is asked."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer

    def __missing__(self, name: str) -> list[Answer]:
        return [self.answer]


async def found(answer: Answer) -> tuple[Finding, StubVendor]:
    vendor = StubVendor(Any(answer))
    async with vendor.client() as http:
        [finding] = await ImageService(http).examined()
    return finding, vendor


async def test_a_404_in_json_is_right_and_nothing_else_is_asked() -> None:
    finding, vendor = await found(reply(404, code="not_found"))
    assert finding == Finding("image service", Verdict.OK, "answers at http://vendor (COMFYUI_URL)")
    [asked] = vendor.asked
    assert asked.startswith("GET /img/status/doctor-")


@pytest.mark.parametrize(
    ("answer", "verdict", "says"),
    [
        (httpx.ConnectError("refused"), "wrong", "nobody answers at http://vendor (COMFYUI_URL)"),
        (httpx.ReadTimeout("slow"), "wrong", "can't be understood: ReadTimeout"),
        (httpx.Response(404, text="<h1>nginx"), "wrong", "has no /img/status: another"),
        (reply(200, job_id="v", status="running"), "wrong", "never submitted"),
        (httpx.Response(404, text="404: Not Found"), "wrong", "itself, set IMAGE_API=comfyui"),
        (reply(404, code=1202, message="no", request_id="r"), "wrong", "another server answers"),
        (reply(404, code="1203", message="no"), "wrong", "another server answers"),
        (reply(404, code="not_found", request_id="r"), "ok", "answers at"),
        (reply(404, detail="no", request_id="r"), "ok", "answers at"),
        (reply(401, detail="who?"), "wrong", "refuses to be asked: HTTP 401, code -: who?"),
        (reply(500), "wrong", "HTTP 500"),
        (httpx.Response(301, headers={"location": "/"}), "wrong", "HTTP 301"),
        (reply(503), "warning", "out or full for now: HTTP 503"),
        (reply(429, code=1303), "warning", "code 1303"),
    ],
)
async def test_what_else_may_answer(answer: Answer, verdict: str, says: str) -> None:
    finding, _ = await found(answer)
    assert finding.verdict == verdict
    assert says in finding.says
    assert "\n" not in finding.says


async def test_no_password_of_the_address_is_told() -> None:
    http = httpx.AsyncClient(
        base_url="http://us:hunter2@vendor", transport=StubVendor(Any(reply(401))).transport()
    )
    async with http:
        client = ImageService(http)
        [finding] = await client.examined()
        assert "hunter2" not in finding.says + client.offer()
        assert "http://vendor" in finding.says


async def test_klings_own_api_in_the_place_of_a_proxy_is_noticed() -> None:
    refused = reply(401, code=1001, message="Authorization is empty", request_id="r")
    async with StubVendor(Any(refused)).client() as http:
        [finding] = await VideoService(http).examined()
    assert finding.verdict is Verdict.WRONG
    assert finding.says.endswith("if it is Kling's own API, set VIDEO_API=kling")


async def test_both_mocks_are_found_well_and_have_accepted_nothing(
    image_mock: Service, video_mock: Service
) -> None:
    [image] = await ImageService(image_mock.http).examined()
    [video] = await VideoService(video_mock.http).examined()
    assert [(it.check, it.verdict) for it in (image, video)] == [
        ("image service", Verdict.OK),
        ("video service", Verdict.OK),
    ]
    assert video.says.endswith("(KLING_URL)")
    for mock in (image_mock, video_mock):
        assert await mock.json("/admin/ledger") == []
