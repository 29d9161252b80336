"""Every way a submit or a generation goes wrong, as the caller and the ledger see it."""

import asyncio

import httpx
import pytest

from services.mock_kling.orders import CODES
from tests.services.mock_core.serving import Json, Receiver, Service
from tests.services.mock_kling.client import TASK, end, submit

# Nominal seconds that no test waits for; it hurries.
LONG = 60_000


def _submit(do: str, members: Json | None = None, **rest: object) -> Json:
    return {"where": "submit", "do": do, "with": members or {}, **rest}


def _start(do: str, members: Json | None = None, **rest: object) -> Json:
    return {"where": "start", "do": do, "with": members or {}, **rest}


async def _accepted(service: Service) -> int:
    return int((await service.json("/admin/stats"))["accepted"])


@pytest.mark.parametrize("code", sorted(CODES))
async def test_every_code_of_the_vendors_table(video_mock: Service, code: int) -> None:
    await video_mock.arm(_submit("refuse", {"code": code}))
    reply = await submit(video_mock, "http://x/y")
    status, message = CODES[code]
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert reply.json()["detail"] == message
    assert await _accepted(video_mock) == 0


async def test_refused_with_retry_after(video_mock: Service) -> None:
    members = {"status": 503, "message": "later", "retry_after": 7}
    await video_mock.arm(_submit("refuse", members, often={"first": 1}))
    reply = await submit(video_mock, "http://x/y")
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "7")
    assert reply.json()["detail"] == "later"
    assert (await submit(video_mock, "http://x/y")).status_code == 202


async def test_a_quota_clears_with_time(video_mock: Service) -> None:
    await video_mock.arm(_submit("quota", {"submits": 2, "seconds": 3000, "retry_after": 3}))
    ids = [f"q-{n}.video.1" for n in range(3)]
    replies = [await submit(video_mock, "http://x/y", external_task_id=it) for it in ids]
    assert [reply.status_code for reply in replies] == [202, 202, 429]
    assert (replies[2].json()["code"], replies[2].headers["retry-after"]) == (1302, "3")
    assert (await video_mock.json("/admin/faults"))["rules"][0]["fired"] == 1
    await video_mock.http.put("/admin/config", json={"speed": 1_000_000})
    while (await submit(video_mock, "http://x/y", external_task_id=ids[2])).status_code == 429:
        pass


async def test_a_pool_is_full_while_something_runs(video_mock: Service) -> None:
    await video_mock.arm(_submit("pool", {"places": 1}))
    await submit(video_mock, "http://x/y")
    full = await submit(video_mock, "http://x/y", external_task_id="p-2.video.1")
    assert (full.status_code, full.json()["code"]) == (429, 1303)
    await end(video_mock)
    again = await submit(video_mock, "http://x/y", external_task_id="p-2.video.1")
    assert again.status_code == 202


@pytest.mark.parametrize(("seconds", "code"), [(3600, 1004), (-3600, 1003)])
async def test_the_vendors_clock_is_off(video_mock: Service, seconds: int, code: int) -> None:
    await video_mock.arm(_submit("skew", {"seconds": seconds}))
    reply = await submit(video_mock, "http://x/y")
    assert (reply.status_code, reply.json()["code"]) == (401, code)


async def test_accepted_but_the_reply_is_reset(video_mock: Service, picture_url: str) -> None:
    await video_mock.arm(_submit("lose-reply", often={"first": 1}))
    with pytest.raises(httpx.ReadError):
        await submit(video_mock, picture_url)
    assert (await end(video_mock))["status"] == "succeed"
    row = await video_mock.row(TASK)
    assert (row["outcome"], row["charged"]) == ("succeeded", True)


@pytest.mark.parametrize(("how", "status"), [("500", 500), ("504", 504), ("garbage", 200)])
async def test_accepted_but_the_reply_says_nothing(
    video_mock: Service, how: str, status: int
) -> None:
    await video_mock.arm(_submit("lose-reply", {"how": how}))
    reply = await submit(video_mock, "http://x/y")
    assert reply.status_code == status
    assert "job_id" not in reply.text
    assert await _accepted(video_mock) == 1


async def _unknown(service: Service) -> bool:
    """Whether a look-up by our id finds nothing, nor the ledger a row."""
    by_id = await service.http.get(f"/video/status/{TASK}")
    return by_id.status_code == 404 and await _accepted(service) == 0


async def test_reset_and_accepted_only_later(video_mock: Service, picture_url: str) -> None:
    await video_mock.arm(_submit("accept-late", {"seconds": LONG}))
    with pytest.raises(httpx.ReadError):
        await submit(video_mock, picture_url)
    assert await _unknown(video_mock)
    assert (await video_mock.json("/admin/stats"))["accepted_later"] == 1
    await video_mock.hurry()
    await video_mock.quiet()
    row = await video_mock.row(TASK)
    assert (row["outcome"], row["charged"]) == ("succeeded", True)
    assert (await end(video_mock))["status"] == "succeed"


async def test_the_reply_is_held_until_it_is_accepted(
    video_mock: Service, picture_url: str
) -> None:
    await video_mock.arm(_submit("accept-late", {"seconds": LONG, "how": "held"}))
    held = asyncio.create_task(submit(video_mock, picture_url))
    await video_mock.until("/admin/stats", lambda it: it["accepted_later"] == 1)
    assert await _unknown(video_mock)
    assert not held.done()
    await video_mock.hurry()
    reply = await held
    assert reply.status_code == 202
    assert (await video_mock.row(TASK))["job_id"] == reply.json()["job_id"]


@pytest.mark.parametrize(("how", "status"), [("500", 500), ("504", 504), ("garbage", 200)])
async def test_accepted_only_later_and_the_reply_says_nothing(
    video_mock: Service, how: str, status: int
) -> None:
    await video_mock.arm(_submit("accept-late", {"seconds": LONG, "how": how}))
    assert (await submit(video_mock, "http://x/y")).status_code == status
    assert await _unknown(video_mock)


async def test_submitted_again_before_it_was_accepted_it_is_paid_twice(
    video_mock: Service, picture_url: str
) -> None:
    await video_mock.arm(
        _submit("accept-late", {"seconds": LONG, "how": "504"}, often={"first": 1})
    )
    await submit(video_mock, picture_url)
    assert (await submit(video_mock, picture_url)).status_code == 202
    await video_mock.hurry()
    await video_mock.quiet()
    assert (await video_mock.json("/admin/verdict"))["charged_twice"] == [TASK]


async def test_a_reset_of_the_mock_forgets_what_was_still_to_come(video_mock: Service) -> None:
    await video_mock.arm(_submit("accept-late", {"seconds": LONG, "how": "504"}))
    await submit(video_mock, "http://x/y")
    await video_mock.post("/admin/reset", None)
    assert (await video_mock.json("/admin/stats"))["accepted_later"] == 0


@pytest.mark.parametrize(
    ("rule", "accepted"),
    [(_submit("hang"), 0), (_submit("lose-reply", {"how": "hang"}), 1)],
)
async def test_a_submit_that_is_never_answered(
    video_mock: Service, rule: Json, accepted: int
) -> None:
    await video_mock.arm(rule)
    with pytest.raises(httpx.ReadTimeout):
        await video_mock.http.post("/video/submit", json={"image_url": "http://x/y"}, timeout=0.2)
    assert await _accepted(video_mock) == accepted


async def test_a_hang_that_gives_up_is_a_504(video_mock: Service) -> None:
    await video_mock.arm(_submit("hang", {"seconds": 10}))
    reply = await submit(video_mock, "http://x/y")
    assert (reply.status_code, reply.json()["code"]) == (504, 5002)


async def test_a_charge_for_each_attempt_is_seen(video_mock: Service, picture_url: str) -> None:
    await video_mock.http.put("/admin/config", json={"duplicates": "accept"})
    for _ in range(2):
        await submit(video_mock, picture_url)
    await video_mock.quiet()
    verdict = await video_mock.json("/admin/verdict")
    assert verdict["charged_twice"] == [TASK]


async def test_a_generation_fails_at_a_percentage(
    video_mock: Service, picture_url: str, receiver: Receiver
) -> None:
    await video_mock.arm(_start("fail", {"at": 40, "message": "no luck"}, often={"attempts": 1}))
    await submit(video_mock, picture_url, receiver)
    body = await end(video_mock)
    assert (body["status"], body["message"]) == ("failed", "no luck")
    await submit(video_mock, picture_url, external_task_id="job-1.video.2")
    assert (await end(video_mock, "job-1.video.2"))["status"] == "succeed"
    assert [(await video_mock.row(f"job-1.video.{n}"))["charged"] for n in (1, 2)] == [False, True]


async def test_slow_takes_its_factor_longer(video_mock: Service, picture_url: str) -> None:
    await video_mock.arm(_start("slow", {"factor": 3, "extra": 90}))
    await submit(video_mock, picture_url)
    await end(video_mock)
    assert (await video_mock.row(TASK))["seconds"] >= 0.29


async def test_accepted_and_never_started(
    video_mock: Service, picture_url: str, receiver: Receiver
) -> None:
    await video_mock.arm(_start("never-start", often={"attempts": 1}))
    await submit(video_mock, picture_url, receiver)
    await submit(video_mock, picture_url, external_task_id="job-1.video.2")
    await end(video_mock, "job-1.video.2")
    body = await video_mock.json(f"/video/status/{TASK}")
    assert (body["status"], body["percent"]) == ("submitted", 0)
    assert receiver.raw == []
    assert (await video_mock.json("/admin/stats"))["in_flight"] == 1


async def test_stuck_at_a_percentage(video_mock: Service, picture_url: str) -> None:
    await video_mock.arm(_start("stick", {"at": 99}))
    await submit(video_mock, picture_url)
    body = await video_mock.until(f"/video/status/{TASK}", lambda it: it["percent"] == 99)
    assert body["status"] == "processing"
    await video_mock.json("/admin/ledger")
    assert (await video_mock.json(f"/video/status/{TASK}"))["percent"] == 99


async def test_vanished_in_the_middle(video_mock: Service, picture_url: str) -> None:
    await video_mock.arm(_start("vanish", {"at": 50}))
    task_id = (await submit(video_mock, picture_url)).json()["job_id"]
    await video_mock.until("/admin/stats", lambda it: it["in_flight"] == 0)
    for any_id in (task_id, TASK):
        assert (await video_mock.http.get(f"/video/status/{any_id}")).status_code == 404
    row = await video_mock.row(TASK)
    assert (row["outcome"], row["charged"]) == ("vanished", False)
    assert (await submit(video_mock, picture_url)).status_code == 202


async def test_one_rule_for_the_whole_life(
    video_mock: Service, picture_url: str, receiver: Receiver
) -> None:
    await video_mock.arm(
        {
            "match": {"tag": "cursed"},
            "effects": [
                {"where": "submit", "do": "lose-reply", "with": {"how": "500"}},
                {"where": "progress", "do": "freeze", "with": {"at": 10}},
                {"where": "result", "do": "empty"},
                {"where": "callback", "do": "contradict"},
            ],
        }
    )
    assert (await submit(video_mock, picture_url, receiver, prompt="#cursed")).status_code == 500
    body = await end(video_mock)
    assert (await video_mock.http.get(body["video_url"])).content == b""
    await video_mock.quiet()
    assert receiver.words == ["failed", "failed"]
    healthy = await submit(video_mock, picture_url, external_task_id="job-2.video.1")
    assert healthy.status_code == 202
