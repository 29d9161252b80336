"""What Kling is found to be before anything is submitted there."""

import time
from email.utils import formatdate
from typing import Any

import httpx

from services.mock_kling.settings import DEFAULT_API_KEY as KEY
from services.worker.vendors.chosen import chosen_videos
from services.worker.vendors.kling.videos import KlingVideos
from shared.pipeline.findings import Finding, Verdict
from tests.services.mock_core.serving import Service
from tests.services.worker.vendors.kling.clients import settings_of
from tests.services.worker.vendors.stub import Answer, StubVendor, reply

COSTS = "GET /account/costs"
DAY = 86_400
Told = dict[str, tuple[str, str]]


def pack(left: object = 100, *, days: float = 90, **changes: Any) -> dict[str, Any]:
    found = {
        "resource_pack_name": "Video pack",
        "total_quantity": 1000,
        "remaining_quantity": left,
        "invalid_time": int((time.time() + days * DAY) * 1000),
        "status": "online",
    }
    return found | changes


def costs(*packs: Any, ahead: float = 0.0) -> Answer:
    """The account's answer, by a clock that is ahead by the given seconds."""
    infos = {"code": 0, "msg": "success", "resource_pack_subscribe_infos": list(packs)}
    date = formatdate(time.time() + ahead, usegmt=True)
    body = {"code": 0, "message": "SUCCEED", "data": infos}
    return lambda _: httpx.Response(200, json=body, headers={"Date": date})


def refused(status: int, code: int, message: str = "no") -> Answer:
    return reply(status, code=code, message=message, request_id="req-7")


def told(found: list[Finding]) -> Told:
    assert all("\n" not in each.says for each in found)
    return {each.check: (each.verdict.value, each.says) for each in found}


async def examined(answer: Answer, route: str = COSTS, **changes: Any) -> Told:
    vendor = StubVendor({route: [answer]})
    found = await KlingVideos(vendor.client(), settings_of(**changes)).examined()
    assert all(asked.startswith("GET ") for asked in vendor.asked)
    return told(found)


async def test_account_in_order() -> None:
    found = await examined(costs(pack(60.5), pack(40, days=30)))
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 90 * DAY))
    assert found == {
        "Kling key": ("ok", "http://vendor takes it"),
        "Kling clock": ("ok", "as Kling's, within half a minute"),
        "Kling units": ("ok", f"100.50 units are left, until {day} at the latest"),
    }


async def test_remaining_units() -> None:
    for packs, verdict, says in (
        (
            [pack(0)],
            "warning",
            "each resource pack is used up or expired (Video pack): tasks get 1102",
        ),
        ([pack(5, days=-1)], "warning", "nothing is left"),
        ([pack(5, status="runOut"), pack(9, status="expired")], "warning", "nothing is left"),
        ([pack("none"), "odd", None], "warning", "nothing is left"),
        ([], "warning", "no resource pack: tasks get 1102, unless the account pays afterwards"),
        ([pack(0), pack(7)], "ok", "7 units are left"),
        ([pack(7, days=3)], "warning", "7 units are left, until "),
        ([pack("7", invalid_time=None)], "ok", "7 units are left, until an unknown day"),
    ):
        found = (await examined(costs(*packs)))["Kling units"]
        assert (found[0], says in found[1]) == (verdict, True), found


async def test_clock_difference() -> None:
    for ahead, verdict, says in (
        (20, "ok", "within half a minute"),
        (600, "warning", "s behind Kling's: set it"),
        (-600, "warning", "s ahead of Kling's: set it"),
    ):
        found = (await examined(costs(pack(), ahead=ahead)))["Kling clock"]
        assert (found[0], says in found[1]) == (verdict, True), found


async def test_answer_without_a_date_says_nothing_of_the_clock() -> None:
    infos = {"resource_pack_subscribe_infos": [pack()]}
    assert "Kling clock" not in await examined(reply(code=0, data=infos))


async def test_unexpected_servers() -> None:
    for answer, verdict, says in (
        (refused(401, 1002, "api key not found"), "wrong", "a key is valid in one region"),
        (refused(401, 1004), "wrong", "check this machine's clock"),
        (refused(429, 1102), "wrong", "check the account's balance and resource packs"),
        (refused(429, 1304), "wrong", "not on the account's list"),
        (refused(429, 1302), "warning", "is unavailable for now"),
        (httpx.ReadTimeout("slow"), "warning", "is unavailable for now"),
        (httpx.ConnectError("refused"), "away", "no server answers at http://vendor (KLING_URL)"),
        (httpx.Response(446), "wrong", "KLING_URL names another host"),
        (httpx.Response(200, text="<html>"), "wrong", "KLING_URL names another host"),
        (reply(404, error="no such page"), "wrong", "HTTP 404"),
    ):
        found = await examined(answer)
        assert list(found) == ["Kling key"]
        assert (found["Kling key"][0], says in found["Kling key"][1]) == (verdict, True), found


async def test_unreachable_callback_address_is_a_warning() -> None:
    for address, says in (
        ("https://us.example", ""),
        ("http://us.example", "polling only"),
        ("https://10.0.0.1", "gets none"),
    ):
        found = await examined(costs(pack()), callback_url=address)
        verdict, said = found.get("Kling callbacks", ("warning", ""))
        assert (verdict, bool(said)) == ("warning", bool(says))
        assert says in said


async def test_offer_names_the_model() -> None:
    sounding = {"kling_model": "kling-v3", "kling_duration": 12, "kling_sound": "on"}
    for changes, made in (
        ({}, "kling-v2-6, std, 5 s"),
        (sounding, "kling-v3, std, 12 s, with sound"),
    ):
        offer = KlingVideos(StubVendor({}).client(), settings_of(**changes)).offer()
        assert offer == f"Kling at http://vendor: {made}"


async def test_native_mock_passes(video_mock: Service) -> None:
    """By the settings."""
    at = str(video_mock.http.base_url)
    async with chosen_videos(settings_of(video_service_url=at, kling_api_key=KEY)) as videos:
        assert isinstance(videos, KlingVideos)
        found = told(await videos.examined())
    assert {verdict for verdict, _ in found.values()} == {Verdict.OK}
    assert found["Kling units"][1].startswith("1,000,000 units are left")
    assert await video_mock.json("/admin/ledger") == []
