"""Every way the bytes of a result go wrong."""

import httpx
import pytest

from tests.services.mock_core.serving import Json, Service
from tests.services.mock_kling.calls import end, submit


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
