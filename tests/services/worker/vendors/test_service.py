"""The small contract against a stub, and what is found of it before a job."""

import httpx
import pytest

from services.worker.vendors.service import ImageService, VideoService
from shared.errors import NeverDelivered, OutcomeUnknown, RefusedForGood, RefusedForNow
from shared.pipeline.findings import Finding, Verdict
from shared.pipeline.vendor import VendorStatus
from tests.fixtures.present import present
from tests.services.worker.vendors.stub import CUT, UNKNOWN, Answer, StubVendor, picture_at, reply

IMAGE = "job-0123456789abcdef01234567.image.1"
VIDEO = "job-0123456789abcdef01234567.video.1"
OTHER = "job-ffffffffffffffffffffffff.video.1"
IMAGE_STATUS = f"GET /img/status/{IMAGE}"
VIDEO_STATUS = f"GET /video/status/{VIDEO}"
IMAGE_SUBMIT = "POST /img/submit"
VIDEO_SUBMIT = "POST /video/submit"
ACCEPTED = reply(202, job_id="v1")
ENDED = VendorStatus(vendor_id="v1", state="succeeded")


def images(answers: dict[str, list[Answer]]) -> ImageService:
    return ImageService(StubVendor(answers).client())


def videos(answers: dict[str, list[Answer]]) -> VideoService:
    return VideoService(StubVendor(answers).client())


async def submit_image(vendor: StubVendor) -> str:
    return await ImageService(vendor.client()).submit(IMAGE, 7, prompt="猫", style="ink")


async def submit_video(vendor: StubVendor) -> str:
    return await VideoService(vendor.client()).submit(
        VIDEO,
        7,
        prompt="猫",
        source=picture_at("http://vendor/i.png"),
        callback_url="http://us/cb",
    )


async def test_image_is_submitted_with_our_id_and_the_token() -> None:
    vendor = StubVendor({IMAGE_SUBMIT: [ACCEPTED]})
    assert await submit_image(vendor) == "v1"
    assert vendor.asked == [IMAGE_SUBMIT]
    assert vendor.body() == {"prompt": "猫", "style": "ink", "client_id": IMAGE}
    assert vendor.requests[-1].headers["x-slot-token"] == "7"


async def test_video_is_submitted_as_in_the_contract() -> None:
    vendor = StubVendor({VIDEO_SUBMIT: [ACCEPTED]})
    assert await submit_video(vendor) == "v1"
    assert vendor.body() == {
        "image_url": "http://vendor/i.png",
        "prompt": "猫",
        "duration": "5",
        "callback_url": "http://us/cb",
        "external_task_id": VIDEO,
    }
    assert vendor.requests[-1].headers["x-slot-token"] == "7"


async def test_refused_duplicate_is_adopted_and_not_paid_again() -> None:
    """An earlier submit arrived after all."""
    vendor = StubVendor(
        {
            VIDEO_STATUS: [reply(job_id="v0", status="failed")],
            VIDEO_SUBMIT: [reply(400, code=1201, message="duplicate external_task_id")],
        }
    )
    assert await submit_video(vendor) == "v0"
    assert vendor.asked == [VIDEO_SUBMIT, VIDEO_STATUS]


async def test_refusal_without_a_duplicate_stays() -> None:
    vendor = StubVendor(
        {VIDEO_STATUS: [UNKNOWN], VIDEO_SUBMIT: [reply(400, code=1301, message="content")]}
    )
    with pytest.raises(RefusedForGood, match="1301"):
        await submit_video(vendor)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(429, code=1303), RefusedForNow),
        (httpx.ReadError("reset"), OutcomeUnknown),
        (httpx.ConnectError("refused"), NeverDelivered),
        (reply(202, job_id=7), OutcomeUnknown),
        (httpx.Response(202, content=b'["list"]'), OutcomeUnknown),
    ],
)
async def test_submit_is_tried_once_a_call(answer: Answer, kind: type[Exception]) -> None:
    vendor = StubVendor({IMAGE_SUBMIT: [answer]})
    with pytest.raises(kind):
        await submit_image(vendor)
    assert vendor.asked == [IMAGE_SUBMIT]


async def test_refusal_that_cannot_be_checked_is_tried_again() -> None:
    """It may be one of a duplicate, which would be lost as a refusal."""
    vendor = StubVendor({IMAGE_STATUS: [reply(503)], IMAGE_SUBMIT: [reply(400, code=1201)]})
    with pytest.raises(RefusedForNow):
        await submit_image(vendor)
    assert vendor.asked == [IMAGE_SUBMIT, IMAGE_STATUS]


async def image_status(**told: object) -> VendorStatus:
    return present(await images({IMAGE_STATUS: [reply(job_id="v1", **told)]}).status(IMAGE))


async def video_status(asked: str = VIDEO, **told: object) -> VendorStatus:
    answer = reply(**{"job_id": "v1", **told})
    return present(await videos({f"GET /video/status/{asked}": [answer]}).status(asked))


async def test_states_of_both_services() -> None:
    for words, ask in (
        (("queued", "succeeded", "failed"), image_status),
        (("submitted", "succeed", "failed"), video_status),
    ):
        states = [(await ask(status=word)).state for word in (*words, "a word of tomorrow")]
        assert states == ["queued", "succeeded", "failed", "running"]
    status = await image_status(status="running", percent=12, error="e")
    assert (status.vendor_id, status.percent, status.message) == ("v1", 12, "e")
    status = await video_status(status="succeed", video_url="http://v/1.mp4", message="m")
    assert (status.url, status.message) == ("http://v/1.mp4", "m")


async def test_any_percent_is_brought_into_range() -> None:
    """It is only shown, so that none hides that the vendor has ended."""
    for percent, shown in (
        *((b"null", 0), (b"-5", 0), (b"250", 100), (b'"40"', 40), (b"12.7", 12)),
        *(
            (b'"much"', 0),
            (b"[1]", 0),
            (b"NaN", 0),
            (b"Infinity", 0),
            (b'"%s"' % (b"9" * 10**5), 0),
        ),
    ):
        body = b'{"job_id": "v1", "status": "succeed", "percent": %s}' % percent
        answer = httpx.Response(200, content=body)
        status = present(await videos({VIDEO_STATUS: [answer]}).status(VIDEO))
        assert (status.state, status.percent) == ("succeeded", shown)


@pytest.mark.parametrize(
    "body",
    [
        b'{"status": "running"}',
        b'{"job_id": 5, "status": "running"}',
        b'{"job_id": "v", "status": "succeed", "video_url": 5}',
        b"null",
    ],
)
async def test_invalid_status_is_ignored(body: bytes) -> None:
    with pytest.raises(OutcomeUnknown):
        await videos({VIDEO_STATUS: [httpx.Response(200, content=body)]}).status(VIDEO)


@pytest.mark.parametrize(
    ("asked", "told", "is_ours"),
    [
        ("v1", {"external_id": VIDEO}, True),
        ("v1", {"job_id": "v2"}, False),
        (VIDEO, {"external_id": None}, True),
        (VIDEO, {"external_id": VIDEO}, True),
        (VIDEO, {"external_id": OTHER}, False),
        (VIDEO, {"external_id": 7}, False),
    ],
)
async def test_status_of_another_generation_is_ignored(
    asked: str, told: dict[str, object], is_ours: bool
) -> None:
    """Else one job would get the file of another."""
    if is_ours:
        assert (await video_status(asked, status="succeed", **told)).vendor_id == "v1"
    else:
        with pytest.raises(OutcomeUnknown, match="another generation"):
            await video_status(asked, status="succeed", **told)


@pytest.mark.parametrize("code", [202, 400])
async def test_submit_answered_for_another_generation_may_have_arrived(code: int) -> None:
    """Also if it is refused as a duplicate, and the look-up finds another one."""
    told = reply(code, code=1201, job_id="v2", external_id=OTHER)
    known = reply(job_id="v2", status="processing", external_id=OTHER)
    vendor = StubVendor({VIDEO_SUBMIT: [told], VIDEO_STATUS: [known]})
    with pytest.raises(OutcomeUnknown, match="another generation"):
        await submit_video(vendor)


async def test_result_of_another_generation_is_ignored() -> None:
    answer = reply(job_id="v2", asset_url="http://v/2.png")
    with pytest.raises(OutcomeUnknown, match="another generation"):
        await images({"GET /img/result/v1": [answer]}).address(ENDED)


async def test_address_with_a_broken_character_is_none() -> None:
    """Another one would be fetched; a success without one is asked again for a while."""
    status = await video_status(status="succeed", video_url=f"http://v/{CUT}.mp4")
    assert (status.state, status.url) == ("succeeded", None)
    result = reply(job_id="v1", asset_url=f"http://v/{CUT}.png")
    assert await images({"GET /img/result/v1": [result]}).address(ENDED) is None


async def test_id_with_a_broken_character_is_none() -> None:
    with pytest.raises(OutcomeUnknown, match="without its job_id"):
        await submit_video(StubVendor({VIDEO_SUBMIT: [reply(202, job_id=f"v{CUT}")]}))
    with pytest.raises(OutcomeUnknown, match="unexpected form"):
        await video_status(job_id=f"v{CUT}", status="processing")


async def test_new_success_may_lack_its_address() -> None:
    for answer, url in (
        (reply(job_id="v1", asset_url="http://v/1.png"), "http://v/1.png"),
        (reply(job_id="v1"), None),
        (reply(404), None),
    ):
        done = reply(job_id="v1", status="succeeded")
        service = images({IMAGE_STATUS: [done], "GET /img/result/v1": [answer]})
        assert await service.address(present(await service.status(IMAGE))) == url


async def test_cancel_may_be_missing() -> None:
    path = "POST /api/jobs/v1/cancel"
    vendor = StubVendor({path: [reply(cancelled=True), reply(404), reply(503)]})
    service = ImageService(vendor.client())
    await service.cancel("v1")
    await service.cancel("v1")
    with pytest.raises(RefusedForNow):
        await service.cancel("v1")
    assert vendor.asked == [path] * 3


class Any(dict[str, list[Answer]]):
    """One answer for whatever is asked."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer

    def __missing__(self, name: str) -> list[Answer]:
        return [self.answer]


async def found(answer: Answer) -> tuple[Finding, StubVendor]:
    vendor = StubVendor(Any(answer))
    [finding] = await ImageService(vendor.client()).examined()
    return finding, vendor


async def test_json_404_is_right_and_nothing_else_is_asked() -> None:
    finding, vendor = await found(reply(404, code="not_found"))
    assert finding == Finding("image service", Verdict.OK, "answers at http://vendor (COMFYUI_URL)")
    [asked] = vendor.asked
    assert asked.startswith("GET /img/status/doctor-")


async def test_unexpected_servers() -> None:
    for answer, verdict, says in (
        (
            httpx.ConnectError("refused"),
            "away",
            "no server answers at http://vendor (COMFYUI_URL)",
        ),
        (httpx.ReadTimeout("slow"), "wrong", "can't be understood: ReadTimeout"),
        (httpx.Response(404, text="<h1>nginx"), "wrong", "has no /img/status: another"),
        (reply(200, job_id="v", status="running"), "wrong", "never submitted"),
        (reply(404, code=1202, message="no", request_id="r"), "wrong", "another server answers"),
        (reply(404, code="1203", message="no"), "wrong", "itself, set IMAGE_API=comfyui"),
        (reply(404, detail="no", request_id="r"), "ok", "answers at"),
        (reply(401, detail="who?"), "wrong", "refuses the check: HTTP 401, code -: who?"),
        (httpx.Response(301, headers={"location": "/"}), "wrong", "HTTP 301"),
        (reply(503), "warning", "away or full for now: HTTP 503"),
        (reply(429, code=1303), "warning", "code 1303"),
    ):
        finding, _ = await found(answer)
        assert finding.verdict == verdict
        assert says in finding.says
        assert "\n" not in finding.says


async def test_password_of_the_address_is_not_shown() -> None:
    http = httpx.AsyncClient(
        base_url="http://us:hunter2@vendor", transport=StubVendor(Any(reply(401))).transport()
    )
    client = ImageService(http)
    [finding] = await client.examined()
    assert "hunter2" not in finding.says + client.offer()
    assert "http://vendor" in finding.says


async def test_klings_own_api_in_place_of_a_proxy_is_recognised() -> None:
    refused = reply(401, code=1001, message="Authorization is empty", request_id="r")
    [finding] = await videos(Any(refused)).examined()
    assert finding.verdict is Verdict.WRONG
    assert finding.says.endswith("if it is Kling's own API, set VIDEO_API=kling")
