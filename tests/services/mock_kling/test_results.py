"""Faults of status calls and of the fetch of a file."""

import httpx
import pytest

from tests.services.mock_core.serving import Json, Service
from tests.services.mock_kling.client import TASK, end, submit

STATUS = f"/video/status/{TASK}"


def _poll(do: str, members: Json | None = None) -> Json:
    return {"where": "poll", "do": do, "with": members or {}, "often": {"first": 1}}


def _progress(do: str, members: Json | None = None) -> Json:
    return {"where": "progress", "do": do, "with": members or {}}


# So slow that no state on the way can be missed; then it hurries.
SLOWLY: Json = {"where": "start", "do": "slow", "with": {"factor": 100}}


async def test_refused_once(video_mock: Service, picture_url: str) -> None:
    await video_mock.arm(_poll("refuse", {"code": 5000}))
    await submit(video_mock, picture_url)
    assert (await video_mock.http.get(STATUS)).status_code == 500
    assert (await video_mock.http.get(STATUS)).status_code == 200


async def test_reset_and_hung(video_mock: Service, picture_url: str) -> None:
    await video_mock.arm(_poll("reset"))
    await submit(video_mock, picture_url)
    with pytest.raises(httpx.ReadError):
        await video_mock.http.get(STATUS)
    await video_mock.arm(_poll("hang"))
    with pytest.raises(httpx.ReadTimeout):
        await video_mock.http.get(STATUS, timeout=0.2)


async def test_forgotten_for_a_moment(video_mock: Service, picture_url: str) -> None:
    await video_mock.arm(_poll("forget"))
    await submit(video_mock, picture_url)
    assert [(await video_mock.http.get(STATUS)).status_code for _ in range(2)] == [404, 200]


@pytest.mark.parametrize("do", ["garbage", "truncate"])
async def test_an_answer_that_is_not_json(video_mock: Service, picture_url: str, do: str) -> None:
    await video_mock.arm(_poll(do))
    await submit(video_mock, picture_url)
    reply = await video_mock.http.get(STATUS)
    assert reply.status_code == 200
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        reply.json()


async def test_status_goes_backwards(video_mock: Service, picture_url: str) -> None:
    await video_mock.arm(_progress("backwards", {"at": 30, "to": 5, "polls": 1}), SLOWLY)
    await submit(video_mock, picture_url)
    told: list[tuple[str, int]] = []
    while (body := await video_mock.json(STATUS))["status"] != "succeed":
        told.append((body["status"], body["percent"]))
        if ("submitted", 5) in told[:-1]:
            await video_mock.hurry()
    fall = told.index(("submitted", 5))
    assert told[fall - 1][0] == "processing" or fall == 0
    assert told.count(("submitted", 5)) == 1


async def test_percent_freezes_and_the_job_still_ends(
    video_mock: Service, picture_url: str
) -> None:
    await video_mock.arm(_progress("freeze", {"at": 20}), SLOWLY)
    await submit(video_mock, picture_url)
    told = set()
    while (body := await video_mock.json(STATUS))["status"] != "succeed":
        told.add(body["percent"])
        if 20 in told:
            await video_mock.hurry()
    assert max(told) == 20


@pytest.mark.parametrize("percent", [250, -5, "many", None])
async def test_an_absurd_percentage(video_mock: Service, picture_url: str, percent: object) -> None:
    await video_mock.arm(_progress("absurd", {"percent": percent}), SLOWLY)
    await submit(video_mock, picture_url)
    body = await video_mock.until(STATUS, lambda it: it["status"] == "processing")
    assert body["percent"] == percent


async def test_a_state_of_no_table(video_mock: Service, picture_url: str) -> None:
    await video_mock.arm(_progress("unknown-state", {"word": "reviewing"}), SLOWLY)
    await submit(video_mock, picture_url)
    await video_mock.until(STATUS, lambda it: it["status"] == "reviewing")
    await video_mock.hurry()
    assert (await end(video_mock))["status"] == "succeed"


async def test_success_without_an_address(video_mock: Service, picture_url: str) -> None:
    await video_mock.arm(_progress("no-url"))
    await submit(video_mock, picture_url)
    body = await end(video_mock)
    assert body["status"] == "succeed"
    assert "video_url" not in body


async def test_success_that_gets_its_address_later(video_mock: Service, picture_url: str) -> None:
    await video_mock.arm(_progress("no-url", {"seconds": 60_000}))
    await submit(video_mock, picture_url)
    assert "video_url" not in await end(video_mock)
    await video_mock.hurry()
    body = await video_mock.until(STATUS, lambda it: "video_url" in it)
    assert (await video_mock.http.get(body["video_url"])).status_code == 200


async def test_a_restart_forgets_ids_and_still_serves_the_file(
    video_mock: Service, picture_url: str
) -> None:
    await submit(video_mock, picture_url)
    url = (await end(video_mock))["video_url"]
    assert (await video_mock.post("/admin/restart", None)).json() == {"forgotten": 1}
    assert (await video_mock.http.get(STATUS)).status_code == 404
    assert (await video_mock.http.get(url)).status_code == 200
    row = await video_mock.row(TASK)
    assert (row["outcome"], row["charged"]) == ("succeeded", True)


def _result(do: str, members: Json | None = None, **rest: object) -> Json:
    return {"where": "result", "do": do, "with": members or {}, **rest}


async def _fetch(service: Service, picture_url: str, rule: Json) -> tuple[bytes, httpx.Response]:
    """The whole file, and the first fetch of it under the rule."""
    await submit(service, picture_url)
    url = (await end(service))["video_url"]
    whole = (await service.http.get(url)).content
    await service.arm(rule)
    return whole, await service.http.get(url)


@pytest.mark.parametrize(
    ("members", "status"), [({}, 404), ({"status": 403}, 403), ({"code": 5000}, 500)]
)
async def test_refused(video_mock: Service, picture_url: str, members: Json, status: int) -> None:
    _, reply = await _fetch(video_mock, picture_url, _result("refuse", members))
    assert reply.status_code == status


async def test_truncated_as_if_it_were_all(video_mock: Service, picture_url: str) -> None:
    whole, reply = await _fetch(video_mock, picture_url, _result("truncate", {"keep": 0.5}))
    assert reply.content == whole[: len(whole) // 2]
    assert reply.headers["content-length"] == str(len(whole) // 2)


async def test_zero_bytes(video_mock: Service, picture_url: str) -> None:
    _, reply = await _fetch(video_mock, picture_url, _result("empty"))
    assert (reply.status_code, reply.content) == (200, b"")


async def test_corrupt_with_the_right_length(video_mock: Service, picture_url: str) -> None:
    whole, reply = await _fetch(video_mock, picture_url, _result("corrupt"))
    assert len(reply.content) == len(whole)
    assert reply.content[:16] == whole[:16]
    assert reply.content != whole


async def test_another_jobs_file(video_mock: Service, picture_url: str) -> None:
    await submit(video_mock, picture_url, prompt="other", external_task_id="o.1", duration="10")
    await end(video_mock, "o.1")
    whole, reply = await _fetch(video_mock, picture_url, _result("swap"))
    assert reply.status_code == 200
    assert len(reply.content) == len(whole)


async def test_wrong_content_type(video_mock: Service, picture_url: str) -> None:
    whole, reply = await _fetch(video_mock, picture_url, _result("wrong-type"))
    assert reply.headers["content-type"].startswith("text/html")
    assert reply.content == whole


async def test_redirected_to_an_internal_address(video_mock: Service, picture_url: str) -> None:
    _, reply = await _fetch(video_mock, picture_url, _result("redirect"))
    assert reply.status_code == 302
    assert reply.headers["location"].startswith("http://169.254.169.254/")


async def test_reset_in_the_middle(video_mock: Service, picture_url: str) -> None:
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await _fetch(video_mock, picture_url, _result("reset"))


async def test_never_sent(video_mock: Service, picture_url: str) -> None:
    await submit(video_mock, picture_url)
    url = (await end(video_mock))["video_url"]
    await video_mock.arm(_result("hang"))
    with pytest.raises(httpx.ReadTimeout):
        await video_mock.http.get(url, timeout=0.2)


async def test_dripped(video_mock: Service, picture_url: str) -> None:
    rule = _result("drip", {"seconds": 50, "drops": 5})
    whole, reply = await _fetch(video_mock, picture_url, rule)
    assert reply.content == whole


async def test_expired_at_once_is_no_fault_of_the_caller(
    video_mock: Service, picture_url: str
) -> None:
    _, reply = await _fetch(video_mock, picture_url, _result("expire"))
    assert reply.status_code == 403
    assert (await video_mock.json("/admin/verdict"))["ok"]


async def test_a_fetch_after_the_expiry_shows_in_the_verdict(
    video_mock: Service, picture_url: str
) -> None:
    rule = _result("expire", {"seconds": 1, "status": 404})
    _, reply = await _fetch(video_mock, picture_url, rule)
    assert reply.status_code == 404
    verdict = await video_mock.json("/admin/verdict")
    assert not verdict["ok"]
    assert len(verdict["fetched_after_expiry"]) == 1


async def test_results_are_cleared_after_their_days(video_mock: Service, picture_url: str) -> None:
    await submit(video_mock, picture_url)
    url = (await end(video_mock))["video_url"]
    await video_mock.http.put("/admin/config", json={"result_days": 1e-9})
    assert (await video_mock.http.get(url)).json()["code"] == "expired"
