"""Kling's first generation against a stub: what is submitted, and what each answer means."""

import base64

import httpx
import pytest
from structlog.testing import capture_logs

from services.worker.vendors.answers import KLING_CODES, SLOWEST
from services.worker.vendors.kling.videos import RESULT_HOSTS, KlingVideos
from services.worker.vendors.vendor import Fitted, Traits
from shared.errors import (
    GenvideoError,
    NeverDelivered,
    OutcomeUnknown,
    RefusedForGood,
    RefusedForNow,
    StorageFailed,
    VendorError,
)
from tests.services.worker.vendors.kling.clients import (
    CALLBACK,
    LOOK,
    SUBMIT,
    refused,
    settings_of,
    submit,
    succeeded,
)
from tests.services.worker.vendors.stub import Answer, StubVendor, picture_at, reply
from tests.services.worker.vendors.usual import OURS, submit_usual


async def test_a_video_is_submitted_as_documented() -> None:
    vendor = StubVendor({SUBMIT: [succeeded()]})
    assert await submit(vendor) == "831"
    assert vendor.asked == [SUBMIT]
    assert vendor.body() == {
        "model_name": "kling-v2-6",
        "mode": "std",
        "duration": "5",
        "image": base64.b64encode(b"our picture").decode(),
        "prompt": "猫",
        "callback_url": CALLBACK,
        "external_task_id": OURS,
    }
    assert vendor.requests[-1].headers["authorization"] == "Bearer the-key"


async def test_the_settings_say_what_is_made() -> None:
    vendor = StubVendor({SUBMIT: [succeeded()]})
    await submit(
        vendor,
        kling_model="kling-v3",
        kling_mode="4k",
        kling_duration=15,
        kling_sound="on",
        kling_extra='{"cfg_scale": 0.7}',
    )
    body = vendor.body()
    assert (body["model_name"], body["mode"], body["duration"]) == ("kling-v3", "4k", "15")
    assert (body["sound"], body["cfg_scale"]) == ("on", 0.7)


async def test_an_image_can_be_sent_by_its_address() -> None:
    vendor = StubVendor({SUBMIT: [succeeded()]})
    await submit(vendor, kling_image="url")
    assert vendor.body()["image"] == "https://images.example/1.png"


@pytest.mark.parametrize("kling_image", ["base64", "url"])
@pytest.mark.parametrize("error", [RefusedForGood("too small"), StorageFailed("our disk")])
async def test_an_image_that_will_not_do_is_found_out_before_anything_is_paid(
    kling_image: str, error: GenvideoError
) -> None:
    vendor = StubVendor({})
    with pytest.raises(type(error), match=error.message):
        await submit(vendor, picture_at("x", fitted=error), kling_image=kling_image)
    assert vendor.asked == []


async def test_what_would_have_to_be_encoded_again_cannot_be_sent_by_its_address() -> None:
    picture = picture_at("https://i.example/1.png", fitted=Fitted(b"jpeg", is_new=True))
    vendor = StubVendor({SUBMIT: [succeeded()]})
    with pytest.raises(RefusedForGood, match="KLING_IMAGE=base64"):
        await submit(vendor, picture, kling_image="url")
    await submit(vendor, picture)
    assert base64.b64decode(vendor.body()["image"]) == b"jpeg"


@pytest.mark.parametrize(
    ("callback", "vendor", "told"),
    [
        ("https://us.example", "https://api-singapore.klingai.com", True),
        ("http://us.example", "https://api-singapore.klingai.com", False),
        ("http://127.0.0.1:8001", "https://api-singapore.klingai.com", False),
        ("https://127.0.0.1:8001", "https://api-singapore.klingai.com", False),
        ("https://192.168.1.5", "https://api-singapore.klingai.com", False),
        ("https://[::1]:8001", "https://api-singapore.klingai.com", False),
        ("https://callback:8001", "https://api-singapore.klingai.com", False),
        ("https://desk.local", "https://api-singapore.klingai.com", False),
        ("http://callback:8001", "http://mock-kling:16882", True),
        ("http://10.0.0.4:8001", "http://10.0.0.5:16882", True),
        ("http://127.0.0.1:8001", "http://10.0.0.5:16882", False),
        ("http://localhost:8001", "http://mock-kling:16882", False),
        ("http://127.0.0.1:8001", "http://127.0.0.1:16882", True),
    ],
)
async def test_an_address_that_leads_to_nobody_is_never_told(
    callback: str, vendor: str, told: bool
) -> None:
    stub = StubVendor({SUBMIT: [succeeded()]})
    await submit(stub, callback_url=callback, video_service_url=vendor)
    assert ("callback_url" in stub.body()) is told


async def test_that_it_polls_alone_is_said_once() -> None:
    near = settings_of(callback_url="http://127.0.0.1:8001")
    with capture_logs() as lines:
        async with StubVendor({SUBMIT: [succeeded()] * 2}).client() as http:
            videos = KlingVideos(http, near)
            for _ in range(2):
                await submit_usual(videos, callback_url=CALLBACK)
    assert [line["event"] for line in lines if "no callbacks" in line["event"]] == [
        "no callbacks: the video vendor is polled"
    ]


async def test_traits() -> None:
    async with StubVendor({}).client() as http:
        traits = KlingVideos(http, settings_of()).traits
    assert traits == Traits(looked_up=True, pushes=True, result_hosts=RESULT_HOSTS)


async def test_one_that_finds_nothing_by_our_id_is_not_asked_by_it() -> None:
    """Nor behind a refusal that may mean that the id is there already: that is in doubt."""
    settings = settings_of(kling_look_up="off")
    async with StubVendor({}).client() as http:
        assert not KlingVideos(http, settings).traits.looked_up
    taken = reply(400, code=1201, message="external_task_id already exists", request_id="r-1")
    for answer, kind in ((taken, OutcomeUnknown), (refused(1201, 400), RefusedForGood)):
        vendor = StubVendor({SUBMIT: [answer]})
        with pytest.raises(kind):
            await submit(vendor, kling_look_up="off")
        assert vendor.asked == [SUBMIT]


@pytest.mark.parametrize("code", sorted({*KLING_CODES} - {1003, 1004, 1201}))
async def test_the_code_decides_and_not_the_http_status(code: int) -> None:
    vendor = StubVendor({SUBMIT: [refused(code, 429)]})
    with pytest.raises(KLING_CODES[code], match=rf"code {code}.*\(request r-1\)"):
        await submit(vendor)
    assert vendor.asked == [SUBMIT]


@pytest.mark.parametrize(
    ("code", "hint"), [(1002, "region"), (1102, "balance"), (1103, "KLING_MODEL"), (1304, "list")]
)
async def test_a_refusal_says_where_to_look(code: int, hint: str) -> None:
    with pytest.raises(RefusedForGood, match=hint):
        await submit(StubVendor({SUBMIT: [refused(code)]}))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(200, code=9999, message="?"), OutcomeUnknown),
        (reply(200, code=0), OutcomeUnknown),
        (reply(200, code=0, data={"task_id": 7}), OutcomeUnknown),
        (httpx.Response(200, content=b"not json"), OutcomeUnknown),
        (httpx.Response(502, content=b"<html>"), OutcomeUnknown),
        (reply(500), OutcomeUnknown),
        (reply(503), RefusedForNow),
        (httpx.ReadTimeout("slow"), OutcomeUnknown),
        (httpx.ConnectError("refused"), NeverDelivered),
    ],
)
async def test_other_answers(answer: Answer, kind: type[VendorError]) -> None:
    vendor = StubVendor({SUBMIT: [answer]})
    with pytest.raises(kind):
        await submit(vendor)
    assert vendor.asked == [SUBMIT]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b"\n<!doctype html>"),
        httpx.Response(404, content=b"<html>"),
        httpx.Response(446, json={}),
        httpx.Response(302),
        httpx.Response(308, content=b"moved"),
    ],
)
async def test_a_host_that_is_not_the_api_is_named_as_the_mistake(answer: httpx.Response) -> None:
    with pytest.raises(RefusedForGood, match="KLING_URL"):
        await submit(StubVendor({SUBMIT: [answer]}))


@pytest.mark.parametrize("word", ["submitted", "processing", "succeed", "failed"])
async def test_a_refused_duplicate_is_adopted(word: str) -> None:
    vendor = StubVendor({SUBMIT: [refused(1201)], LOOK: [succeeded(task_status=word)]})
    assert await submit(vendor) == "831"
    assert vendor.asked == [SUBMIT, LOOK]


async def test_a_bad_parameter_stays_a_refusal() -> None:
    vendor = StubVendor({SUBMIT: [refused(1201, message="prompt")], LOOK: [refused(1203, 404)]})
    with pytest.raises(RefusedForGood, match="prompt"):
        await submit(vendor)


async def test_an_id_that_is_refused_for_another_reason_is_no_duplicate() -> None:
    message = "external_task_id is too long"
    vendor = StubVendor({SUBMIT: [refused(1201, message=message)], LOOK: [refused(1203, 404)]})
    with pytest.raises(RefusedForGood, match="too long"):
        await submit(vendor)


@pytest.mark.parametrize(
    "message",
    [
        "external_task_id is already in use",
        "Duplicate external_task_id",
        "external_task_id must be unique",
        "external_task_id exists",
        "external_task_id is repeated",
    ],
)
async def test_a_duplicate_that_cannot_be_found_yet_is_looked_for_on(message: str) -> None:
    vendor = StubVendor({SUBMIT: [refused(1201, message=message)], LOOK: [refused(1203, 404)]})
    with pytest.raises(OutcomeUnknown):
        await submit(vendor)


async def test_an_answer_is_waited_for_as_long_as_a_large_picture_takes() -> None:
    vendor = StubVendor({SUBMIT: [succeeded()]})
    await submit(vendor, picture_at("x", fitted=Fitted(bytes(3_000_000), is_new=False)))
    patience = vendor.requests[-1].extensions["timeout"]
    assert patience["read"] == patience["write"] == 30 + 4_000_000 / SLOWEST
    assert patience["connect"] < 10


async def test_pauses_grow_with_each_refusal_and_begin_anew_behind_a_success() -> None:
    answers = [*(refused(1303, 429) for _ in range(8)), succeeded(), refused(1302, 429)]
    vendor = StubVendor({SUBMIT: list(answers)})
    async with vendor.client() as http:
        videos = KlingVideos(http, settings_of())
        pauses = [await _pause(videos) for _ in answers]
    assert pauses.pop(8) is None
    for least, pause in zip([1, 2, 4, 8, 16, 30, 30, 30, 1], pauses, strict=True):
        assert pause is not None
        assert least <= pause <= 1.5 * least


async def _pause(videos: KlingVideos) -> float | None:
    """After which a submit is to be tried again; None where it was taken."""
    try:
        await videos.submit(OURS, 7, prompt="a", picture=picture_at("x"), callback_url=CALLBACK)
    except RefusedForNow as error:
        return error.retry_after
    return None


async def test_a_longer_pause_that_is_asked_for_is_kept() -> None:
    answer = httpx.Response(429, json={"code": 1303}, headers={"Retry-After": "40"})
    with pytest.raises(RefusedForNow) as refusal:
        await submit(StubVendor({SUBMIT: [answer]}))
    assert refusal.value.retry_after == 40
