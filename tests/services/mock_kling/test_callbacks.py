"""Every way a callback goes wrong, as its receiver sees it."""

from collections.abc import Callable

import pytest

from tests.services.mock_core.serving import Json, Receiver, Service
from tests.services.mock_kling.client import TASK, end, finish, submit

SUCCESS: Json = {"match": {"status": "succeed"}}
Sees = Callable[[Receiver], object]


def _callback(do: str, members: Json | None = None, **rest: object) -> Json:
    return {"where": "callback", "do": do, "with": members or {}, **rest}


def _is_cut(receiver: Receiver) -> bool:
    return receiver.bodies == [] and all(it.startswith(b'{"task_id"') for it in receiver.raw)


def _is_for_an_invented_job(receiver: Receiver) -> bool:
    real, invented = receiver.bodies
    ours = invented["task_info"]["external_task_id"]
    return bool(invented["task_id"] != real["task_id"] and ours.startswith("unknown-"))


@pytest.mark.parametrize(
    ("rules", "words", "sees"),
    [
        ([_callback("lose", **SUCCESS)], "processing", None),
        (
            [_callback("repeat", {"times": 3}, **SUCCESS)],
            "processing succeed succeed succeed",
            lambda it: len(set(it.raw[1:])) == 1,
        ),
        (
            [_callback("hold")],
            "succeed processing",
            lambda it: it.bodies[1]["updated_at"] <= it.bodies[0]["updated_at"],
        ),
        ([_callback("unknown-job", **SUCCESS)], "processing succeed", _is_for_an_invented_job),
        ([_callback("contradict", **SUCCESS)], "processing failed", None),
        ([_callback("truncate", {"keep": 0.5})], "", _is_cut),
        (
            [_callback("oversize", {"bytes": 300_000})],
            "processing succeed",
            lambda it: all(len(raw) > 300_000 for raw in it.raw),
        ),
        (
            [_callback("garbage"), _callback("wrong-type")],
            "",
            lambda it: it.headers[0]["content-type"] == "text/html",
        ),
    ],
    ids=lambda it: it[0]["do"] if isinstance(it, list) else "",
)
async def test_callbacks_under_each_rule(
    video_mock: Service,
    receiver: Receiver,
    *,
    rules: list[Json],
    words: str,
    sees: Sees | None,
) -> None:
    if not words:
        # Damaged on purpose and refused by a live receiver: that is an answer.
        receiver.status = 415
    await video_mock.arm(*rules)
    await finish(video_mock, receiver)
    assert receiver.words == words.split()
    assert sees is None or sees(receiver)
    assert (await video_mock.json("/admin/verdict"))["ok"]
    assert (await end(video_mock))["status"] == "succeed"


async def test_callback_before_the_submits_reply(video_mock: Service, receiver: Receiver) -> None:
    await video_mock.arm(
        {"where": "submit", "do": "reply-after-callback", "with": {"status": "succeed"}}
    )
    reply = await submit(video_mock, receiver)
    assert receiver.words == ["processing", "succeed"]
    assert receiver.bodies[0]["task_id"] == reply.json()["job_id"]


async def test_late_callback(video_mock: Service, receiver: Receiver) -> None:
    late = _callback("delay", {"seconds": 200_000}, match={"status": "processing"})
    await video_mock.arm(late)
    await submit(video_mock, receiver)
    await receiver.count(1)
    await video_mock.configure(speed=1_000_000)
    await receiver.count(2)
    assert receiver.words == ["succeed", "processing"]


async def test_callback_after_a_poll_has_seen_the_end(
    video_mock: Service, receiver: Receiver
) -> None:
    await video_mock.arm(_callback("after-poll", **SUCCESS))
    await submit(video_mock, receiver)
    await video_mock.until("/admin/stats", lambda it: it["in_flight"] == 0)
    assert receiver.words == ["processing"]
    await end(video_mock)
    await receiver.count(2)
    assert receiver.words == ["processing", "succeed"]


async def test_callback_for_another_job(video_mock: Service, receiver: Receiver) -> None:
    other = await submit(video_mock, prompt="other", external_task_id="job-2.video.1")
    await video_mock.arm(_callback("other-job", **SUCCESS))
    await finish(video_mock, receiver)
    assert receiver.bodies[-1]["task_id"] == other.json()["job_id"]
    assert receiver.bodies[-1]["task_info"]["external_task_id"] == "job-2.video.1"


async def test_callback_says_succeed_and_status_says_failed(
    video_mock: Service, receiver: Receiver
) -> None:
    await video_mock.arm({"where": "progress", "do": "relapse"})
    await finish(video_mock, receiver)
    assert receiver.words == ["processing", "succeed"]
    body = await end(video_mock)
    assert (body["status"], "video_url" in body) == ("failed", False)
    assert (await video_mock.row(TASK))["charged"]


@pytest.mark.parametrize(
    ("how", "path"),
    [
        ("wrong", "/callback/kling?task=a&token=000000"),
        ("missing", "/callback/kling?task=a"),
        ("stale", "/callback/kling?task=a&token=older"),
    ],
)
async def test_token(video_mock: Service, receiver: Receiver, how: str, path: str) -> None:
    older = receiver.url.replace("token=secret", "token=older")
    await submit(video_mock, prompt="o", external_task_id="o.1", callback_url=older)
    await video_mock.quiet()
    await video_mock.arm(_callback("token", {"how": how}))
    await finish(video_mock, receiver)
    assert receiver.paths[-1] == path


async def test_callback_in_an_envelope_is_changed_inside_and_may_stay_unanswered(
    video_mock: Service, receiver: Receiver
) -> None:
    receiver.status = 503
    # What is inside is changed first, in whatever order the rules stand.
    await video_mock.arm(
        _callback("envelope"),
        _callback("contradict", **SUCCESS),
        _callback("repeat", {"times": 2, "gap": 5}, **SUCCESS),
        _callback("lose", match={"status": "processing"}),
    )
    await finish(video_mock, receiver)
    assert [body.keys() for body in receiver.bodies] == [
        {"code", "message", "request_id", "data"}
    ] * 2
    assert [body["data"]["task_status"] for body in receiver.bodies] == ["failed"] * 2
    verdict = await video_mock.json("/admin/verdict")
    assert not verdict["ok"]
    assert [it["status"] for it in verdict["callbacks_unanswered"]] == ["succeed"]
    notes = [call["note"] for call in (await video_mock.row(TASK))["callbacks"]]
    assert notes == ["lost by callback-lose", "contradict", "repeated"]
