"""Every way a submit, a generation, a status call or a fetch goes wrong, as the caller and the
ledger see it."""

import asyncio

import httpx
import pytest

from services.mock_kling.routes import CODES
from tests.services.mock_core.serving import Json, Receiver, Service
from tests.services.mock_kling.client import SHAPES, TASK, create, end, shape, submit

STATUS = f"/video/status/{TASK}"
# Nominal seconds that no test waits for; it hurries.
LONG = 30_000
# So slow that no state on the way can be missed; then it hurries.
SLOWLY: Json = {"where": "start", "do": "slow", "with": {"factor": 40}}


def rule(name: str, members: Json | None = None, **rest: object) -> Json:
    where, _, do = name.partition(".")
    return {"where": where, "do": do, "with": members or {}, **rest}


async def _accepted(service: Service) -> int:
    return int((await service.json("/admin/stats"))["accepted"])


async def test_every_documented_code_on_either_route(video_mock: Service) -> None:
    for code, (status, message) in CODES.items():
        await video_mock.arm(rule("submit.refuse", {"code": code}))
        plain, native = await submit(video_mock), await create(video_mock)
        assert (plain.status_code, plain.json()["code"]) == (status, code)
        assert plain.json()["detail"] == message
        assert (native.status_code, native.json()["code"]) == (status, code)
        assert shape(native.json()) == shape(SHAPES["error"])
    assert await _accepted(video_mock) == 0


async def test_refused_with_retry_after(video_mock: Service) -> None:
    members = {"status": 503, "message": "later", "retry_after": 7}
    await video_mock.arm(rule("submit.refuse", members, often={"first": 1}))
    reply = await submit(video_mock)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "7")
    assert reply.json()["detail"] == "later"
    assert (await submit(video_mock)).status_code == 202


async def test_accepted_but_the_reply_is_reset(video_mock: Service) -> None:
    await video_mock.arm(rule("submit.lose-reply", often={"first": 1}))
    with pytest.raises(httpx.ReadError):
        await submit(video_mock)
    assert (await end(video_mock))["status"] == "succeed"
    row = await video_mock.row(TASK)
    assert (row["outcome"], row["charged"]) == ("succeeded", True)


async def _unknown(service: Service) -> bool:
    """Whether a look-up by our id finds nothing, nor the ledger a row."""
    return (await service.http.get(STATUS)).status_code == 404 and await _accepted(service) == 0


async def test_reset_and_accepted_only_later(video_mock: Service) -> None:
    await video_mock.arm(rule("submit.accept-late", {"seconds": LONG}))
    with pytest.raises(httpx.ReadError):
        await submit(video_mock)
    assert await _unknown(video_mock)
    assert (await video_mock.json("/admin/stats"))["accepted_later"] == 1
    await video_mock.hurry()
    await video_mock.quiet()
    row = await video_mock.row(TASK)
    assert (row["outcome"], row["charged"]) == ("succeeded", True)
    assert (await end(video_mock))["status"] == "succeed"


async def test_reply_is_held_until_acceptance(video_mock: Service) -> None:
    await video_mock.arm(rule("submit.accept-late", {"seconds": LONG, "how": "held"}))
    held = asyncio.create_task(submit(video_mock))
    await video_mock.until("/admin/stats", lambda it: it["accepted_later"] == 1)
    assert await _unknown(video_mock)
    assert not held.done()
    await video_mock.hurry()
    reply = await held
    assert reply.status_code == 202
    assert (await video_mock.row(TASK))["job_id"] == reply.json()["job_id"]


@pytest.mark.parametrize("point", ["submit.lose-reply", "submit.accept-late"])
async def test_empty_reply(video_mock: Service, point: str) -> None:
    at_once = point == "submit.lose-reply"
    for how, status in (("500", 500), ("504", 504), ("garbage", 200)):
        members = {"how": how} | ({} if at_once else {"seconds": LONG})
        await video_mock.arm(rule(point, members))
        reply = await submit(video_mock)
        assert reply.status_code == status
        assert "job_id" not in reply.text
        assert await _unknown(video_mock) is not at_once
        # A reset forgets what is still to come, too.
        await video_mock.post("/admin/reset", None)
        assert (await video_mock.json("/admin/stats"))["accepted_later"] == 0


async def test_second_submit_before_acceptance_is_paid_twice(video_mock: Service) -> None:
    late = rule("submit.accept-late", {"seconds": LONG, "how": "504"}, often={"first": 1})
    await video_mock.arm(late)
    await submit(video_mock)
    assert (await submit(video_mock)).status_code == 202
    await video_mock.hurry()
    await video_mock.quiet()
    assert (await video_mock.json("/admin/verdict"))["charged_twice"] == [TASK]


@pytest.mark.parametrize(
    ("armed", "accepted"),
    [(rule("submit.hang"), 0), (rule("submit.lose-reply", {"how": "hang"}), 1)],
)
async def test_submit_that_is_never_answered(
    video_mock: Service, armed: Json, accepted: int
) -> None:
    await video_mock.arm(armed)
    with pytest.raises(httpx.ReadTimeout):
        await video_mock.http.post("/video/submit", json={"image_url": "http://x/y"}, timeout=0.2)
    assert await _accepted(video_mock) == accepted


async def test_hang_ends_with_a_504(video_mock: Service) -> None:
    await video_mock.arm(rule("submit.hang", {"seconds": 10}))
    reply = await submit(video_mock)
    assert (reply.status_code, reply.json()["code"]) == (504, 5002)


async def test_generation_fails_at_a_percentage(video_mock: Service) -> None:
    members = {"at": 40, "message": "no luck"}
    await video_mock.arm(rule("start.fail", members, often={"attempts": 1}))
    await submit(video_mock)
    body = await end(video_mock)
    assert (body["status"], body["message"]) == ("failed", "no luck")
    await submit(video_mock, external_task_id="job-1.video.2")
    assert (await end(video_mock, "job-1.video.2"))["status"] == "succeed"
    assert [(await video_mock.row(f"job-1.video.{n}"))["charged"] for n in (1, 2)] == [False, True]


async def test_slow_multiplies_the_duration(video_mock: Service) -> None:
    await video_mock.arm(rule("start.slow", {"factor": 3, "extra": 90}))
    await submit(video_mock)
    await end(video_mock)
    assert (await video_mock.row(TASK))["seconds"] >= 0.29


async def test_accepted_and_never_started(video_mock: Service, receiver: Receiver) -> None:
    await video_mock.arm(rule("start.never-start", often={"attempts": 1}))
    await submit(video_mock, receiver)
    await submit(video_mock, external_task_id="job-1.video.2")
    await end(video_mock, "job-1.video.2")
    body = await video_mock.json(STATUS)
    assert (body["status"], body["percent"]) == ("submitted", 0)
    assert receiver.raw == []
    assert (await video_mock.json("/admin/stats"))["in_flight"] == 1


async def test_stuck_at_a_percentage(video_mock: Service) -> None:
    await video_mock.arm(rule("start.stick", {"at": 99}))
    await submit(video_mock)
    body = await video_mock.until(STATUS, lambda it: it["percent"] == 99)
    assert body["status"] == "processing"
    await video_mock.json("/admin/ledger")
    assert (await video_mock.json(STATUS))["percent"] == 99


async def test_vanished_in_the_middle(video_mock: Service) -> None:
    await video_mock.arm(rule("start.vanish", {"at": 50}))
    task_id = (await submit(video_mock)).json()["job_id"]
    await video_mock.until("/admin/stats", lambda it: it["in_flight"] == 0)
    for any_id in (task_id, TASK):
        assert (await video_mock.http.get(f"/video/status/{any_id}")).status_code == 404
    row = await video_mock.row(TASK)
    assert (row["outcome"], row["charged"]) == ("vanished", False)
    assert (await submit(video_mock)).status_code == 202


ONCE = {"first": 1}


async def test_one_empty_status_answer(video_mock: Service) -> None:
    await submit(video_mock)
    for do, members, status in (
        ("refuse", {"code": 5000}, 500),
        ("forget", {}, 404),
        ("garbage", {}, 200),
        ("truncate", {}, 200),
    ):
        await video_mock.arm(rule(f"poll.{do}", members, often=ONCE))
        reply = await video_mock.http.get(STATUS)
        assert reply.status_code == status
        assert '"percent"' not in reply.text
        assert (await video_mock.json(STATUS)).keys() >= {"status", "percent"}
    for do, error in (("reset", httpx.ReadError), ("hang", httpx.ReadTimeout)):
        await video_mock.arm(rule(f"poll.{do}"))
        with pytest.raises(error):
            await video_mock.http.get(STATUS, timeout=0.2)


async def test_status_goes_backwards(video_mock: Service) -> None:
    await video_mock.arm(rule("progress.backwards", {"at": 30, "to": 5, "polls": 1}), SLOWLY)
    await submit(video_mock)
    told: list[tuple[str, int]] = []
    while (body := await video_mock.json(STATUS))["status"] != "succeed":
        told.append((body["status"], body["percent"]))
        if ("submitted", 5) in told[:-1]:
            await video_mock.hurry()
    fall = told.index(("submitted", 5))
    assert told[fall - 1][0] == "processing" or fall == 0
    assert told.count(("submitted", 5)) == 1


async def test_absurd_percentage_and_unknown_state(video_mock: Service) -> None:
    odd = rule("progress.unknown-state", {"word": "reviewing"})
    for percent in (250, -5, "many", None):
        await video_mock.arm(rule("progress.absurd", {"percent": percent}), odd, SLOWLY)
        task_id = f"job-{percent}.video.1"
        await submit(video_mock, external_task_id=task_id)
        path = f"/video/status/{task_id}"
        body = await video_mock.until(path, lambda it: it["status"] == "reviewing")
        assert body["percent"] == percent
    await video_mock.hurry()
    assert (await end(video_mock, task_id))["status"] == "succeed"


async def test_success_with_a_late_or_missing_address(video_mock: Service) -> None:
    await video_mock.arm(
        rule("progress.no-url", {"seconds": LONG}, match={"prompt": "later"}),
        rule("progress.no-url", match={"prompt": "never"}),
    )
    await submit(video_mock, prompt="later")
    await submit(video_mock, prompt="never", external_task_id="never.1")
    for any_id in (TASK, "never.1"):
        body = await end(video_mock, any_id)
        assert (body["status"], "video_url" in body) == ("succeed", False)
    await video_mock.hurry()
    body = await video_mock.until(STATUS, lambda it: "video_url" in it)
    assert (await video_mock.http.get(body["video_url"])).status_code == 200
    assert "video_url" not in await end(video_mock, "never.1")


async def test_restart_forgets_ids_and_still_serves_the_file(video_mock: Service) -> None:
    await submit(video_mock)
    url = (await end(video_mock))["video_url"]
    assert (await video_mock.post("/admin/restart", None)).json() == {"forgotten": 1}
    assert (await video_mock.http.get(STATUS)).status_code == 404
    assert (await video_mock.http.get(url)).status_code == 200
    row = await video_mock.row(TASK)
    assert (row["outcome"], row["charged"]) == ("succeeded", True)


async def test_damaged_files(video_mock: Service) -> None:
    await submit(video_mock)
    url = (await end(video_mock))["video_url"]
    whole = (await video_mock.http.get(url)).content

    async def under(do: str, members: Json | None = None) -> httpx.Response:
        await video_mock.arm(rule(f"result.{do}", members))
        return await video_mock.http.get(url, timeout=60)

    for members, status in (({}, 404), ({"status": 403}, 403), ({"code": 5000}, 500)):
        assert (await under("refuse", members)).status_code == status
    cut = await under("truncate", {"keep": 0.5})
    assert cut.content == whole[: len(whole) // 2]
    assert cut.headers["content-length"] == str(len(whole) // 2)
    corrupt = (await under("corrupt")).content
    assert (len(corrupt), corrupt[:16]) == (len(whole), whole[:16])
    assert corrupt != whole
    moved = await under("redirect")
    assert moved.status_code == 302
    assert moved.headers["location"].startswith("http://169.254.169.254/")
    assert (await under("drip", {"seconds": 50, "drops": 5})).content == whole
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await under("reset")
    for seconds, late in ((0, 0), (1, 1)):
        gone = await under("expire", {"seconds": seconds, "status": 410})
        assert (gone.status_code, gone.json()["code"]) == (410, "expired")
        verdict = await video_mock.json("/admin/verdict")
        assert (verdict["ok"], len(verdict["fetched_after_expiry"])) == (not late, late)
