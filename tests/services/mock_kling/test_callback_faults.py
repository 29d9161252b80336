"""Every way a callback goes wrong, as its receiver sees it."""

import base64
import json

import pytest
from standardwebhooks.webhooks import Webhook

from tests.services.mock_core.serving import Json, Receiver, Service
from tests.services.mock_kling.client import TASK, end, finish, submit


def _callback(do: str, members: Json | None = None, **rest: object) -> Json:
    return {"where": "callback", "do": do, "with": members or {}, **rest}


async def test_lost(video_mock: Service, picture_url: str, receiver: Receiver) -> None:
    await video_mock.arm(_callback("lose", match={"status": "succeed"}))
    await finish(video_mock, picture_url, receiver)
    assert receiver.words == ["processing"]
    assert (await video_mock.json("/admin/verdict"))["ok"]
    assert (await video_mock.row(TASK))["callbacks"][-1]["note"] == "lost by callback-lose"


async def test_repeated(video_mock: Service, picture_url: str, receiver: Receiver) -> None:
    await video_mock.arm(_callback("repeat", {"times": 3}, match={"status": "succeed"}))
    await finish(video_mock, picture_url, receiver)
    assert receiver.words == ["processing", "succeed", "succeed", "succeed"]
    assert len(set(receiver.raw[1:])) == 1


async def test_out_of_order(video_mock: Service, picture_url: str, receiver: Receiver) -> None:
    await video_mock.arm(_callback("hold"))
    await finish(video_mock, picture_url, receiver)
    assert receiver.words == ["succeed", "processing"]
    succeeded, processing = receiver.bodies
    assert processing["updated_at"] <= succeeded["updated_at"]


async def test_before_the_submits_own_reply(
    video_mock: Service, picture_url: str, receiver: Receiver
) -> None:
    await video_mock.arm(
        {"where": "submit", "do": "reply-after-callback", "with": {"status": "succeed"}}
    )
    reply = await submit(video_mock, picture_url, receiver)
    assert receiver.words == ["processing", "succeed"]
    assert receiver.bodies[0]["task_id"] == reply.json()["job_id"]


async def test_late(video_mock: Service, picture_url: str, receiver: Receiver) -> None:
    await video_mock.arm(
        _callback("delay", {"seconds": 1_000_000}, match={"status": "processing"}),
    )
    await submit(video_mock, picture_url, receiver)
    await receiver.count(1)
    await video_mock.http.put("/admin/config", json={"speed": 1_000_000})
    await receiver.count(2)
    assert receiver.words == ["succeed", "processing"]


async def test_after_a_poll_has_told_the_end(
    video_mock: Service, picture_url: str, receiver: Receiver
) -> None:
    await video_mock.arm(_callback("after-poll", match={"status": "succeed"}))
    await submit(video_mock, picture_url, receiver)
    await video_mock.until("/admin/stats", lambda it: it["in_flight"] == 0)
    assert receiver.words == ["processing"]
    await end(video_mock)
    await receiver.count(2)
    assert receiver.words == ["processing", "succeed"]


async def test_for_an_unknown_job(
    video_mock: Service, picture_url: str, receiver: Receiver
) -> None:
    await video_mock.arm(_callback("unknown-job", match={"status": "succeed"}))
    await finish(video_mock, picture_url, receiver)
    real, invented = receiver.bodies
    assert invented["task_id"] != real["task_id"]
    assert invented["task_info"]["external_task_id"].startswith("unknown-")


async def test_for_another_job(video_mock: Service, picture_url: str, receiver: Receiver) -> None:
    other = await submit(video_mock, picture_url, prompt="other", external_task_id="job-2.video.1")
    await video_mock.arm(_callback("other-job", match={"status": "succeed"}))
    await finish(video_mock, picture_url, receiver)
    assert receiver.bodies[-1]["task_id"] == other.json()["job_id"]
    assert receiver.bodies[-1]["task_info"]["external_task_id"] == "job-2.video.1"


async def test_contradicting_the_status_call(
    video_mock: Service, picture_url: str, receiver: Receiver
) -> None:
    await video_mock.arm(_callback("contradict", match={"status": "succeed"}))
    await finish(video_mock, picture_url, receiver)
    assert receiver.words == ["processing", "failed"]
    assert (await end(video_mock))["status"] == "succeed"


async def test_succeed_called_back_and_failed_told(
    video_mock: Service, picture_url: str, receiver: Receiver
) -> None:
    await video_mock.arm({"where": "progress", "do": "relapse"})
    await finish(video_mock, picture_url, receiver)
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
async def test_token(
    video_mock: Service, picture_url: str, receiver: Receiver, how: str, path: str
) -> None:
    older = receiver.url.replace("token=secret", "token=older")
    await submit(video_mock, picture_url, prompt="o", external_task_id="o.1", callback_url=older)
    await video_mock.quiet()
    await video_mock.arm(_callback("token", {"how": how}))
    await finish(video_mock, picture_url, receiver)
    assert receiver.paths[-1] == path


async def test_enveloped(video_mock: Service, picture_url: str, receiver: Receiver) -> None:
    await video_mock.arm(_callback("envelope"))
    await finish(video_mock, picture_url, receiver)
    body = receiver.bodies[-1]
    assert body.keys() == {"code", "message", "request_id", "data"}
    assert body["data"]["task_status"] == "succeed"


async def test_enveloped_and_contradicting(
    video_mock: Service, picture_url: str, receiver: Receiver
) -> None:
    """What is inside is changed first, in whatever order the rules stand."""
    rules = [_callback("envelope"), _callback("contradict", match={"status": "succeed"})]
    await video_mock.arm(*rules)
    await finish(video_mock, picture_url, receiver)
    assert receiver.bodies[-1]["data"]["task_status"] == "failed"


async def test_truncated(video_mock: Service, picture_url: str, receiver: Receiver) -> None:
    await video_mock.arm(_callback("truncate", {"keep": 0.5}))
    await finish(video_mock, picture_url, receiver)
    assert receiver.bodies == []
    assert all(raw.startswith(b'{"task_id"') for raw in receiver.raw)


async def test_oversized(video_mock: Service, picture_url: str, receiver: Receiver) -> None:
    await video_mock.arm(_callback("oversize", {"bytes": 300_000}))
    await finish(video_mock, picture_url, receiver)
    assert all(len(raw) > 300_000 for raw in receiver.raw)
    assert json.loads(receiver.raw[0])["task_status"] == "processing"


async def test_garbage_and_wrong_type(
    video_mock: Service, picture_url: str, receiver: Receiver
) -> None:
    receiver.status = 415
    await video_mock.arm(_callback("garbage"), _callback("wrong-type"))
    await finish(video_mock, picture_url, receiver)
    assert receiver.bodies == []
    assert receiver.headers[0]["content-type"] == "text/html"
    # Spoilt on purpose and refused by somebody who was there: that is an answer.
    assert (await video_mock.json("/admin/verdict"))["ok"]


async def test_dripped_slowly(video_mock: Service, picture_url: str, receiver: Receiver) -> None:
    await video_mock.arm(_callback("drip", {"seconds": 50, "drops": 5}))
    await finish(video_mock, picture_url, receiver)
    assert receiver.words == ["processing", "succeed"]


@pytest.mark.parametrize(("heed", "tries"), [(True, 2), (False, 3)])
async def test_resent_on_a_schedule(
    video_mock: Service, picture_url: str, receiver: Receiver, heed: bool, tries: int
) -> None:
    receiver.statuses = [200, 503]
    members = {"schedule": [0, 5, 30], "heed": heed}
    await video_mock.arm(_callback("resend", members, match={"status": "succeed"}))
    await finish(video_mock, picture_url, receiver)
    assert receiver.words == ["processing"] + ["succeed"] * tries
    calls = (await video_mock.row(TASK))["callbacks"]
    assert len({call["delivery_id"] for call in calls[1:]}) == 1
    assert (await video_mock.json("/admin/verdict"))["ok"]


async def test_the_manner_is_a_knob(
    video_mock: Service, picture_url: str, receiver: Receiver
) -> None:
    receiver.status = 503
    policy = {"schedule": [0, 5], "form": "envelope"}
    reply = await video_mock.http.put("/admin/config", json={"callbacks": policy})
    assert reply.json()["callbacks"]["form"] == "envelope"
    await finish(video_mock, picture_url, receiver)
    assert [body["data"]["task_status"] for body in receiver.bodies] == [
        "processing",
        "succeed",
        "processing",
        "succeed",
    ] or [body["data"]["task_status"] for body in receiver.bodies].count("succeed") == 2


async def test_standard_webhooks_signatures(
    video_mock: Service, picture_url: str, receiver: Receiver
) -> None:
    secret = "whsec_" + base64.b64encode(b"k" * 24).decode()
    await video_mock.http.put("/admin/config", json={"callbacks": {"signing_secret": secret}})
    await finish(video_mock, picture_url, receiver)
    for raw, headers in zip(receiver.raw, receiver.headers, strict=True):
        assert Webhook(secret).verify(raw, headers) == json.loads(raw)


async def test_two_secrets_sign_while_one_takes_the_others_place(
    video_mock: Service, picture_url: str, receiver: Receiver
) -> None:
    new, old = (f"whsec_{base64.b64encode(each * 24).decode()}" for each in (b"n", b"o"))
    policy = {"signing_secret": new, "old_signing_secret": old}
    await video_mock.http.put("/admin/config", json={"callbacks": policy})
    await finish(video_mock, picture_url, receiver)
    raw, headers = receiver.raw[-1], receiver.headers[-1]
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (new, old):
        assert Webhook(secret).verify(raw, headers) == json.loads(raw)


async def test_the_bare_form_carries_no_signature(
    video_mock: Service, picture_url: str, receiver: Receiver
) -> None:
    await finish(video_mock, picture_url, receiver)
    assert not any(name.startswith("webhook") for name in receiver.headers[0])


async def test_a_delivery_is_sent_again_by_hand(
    video_mock: Service, picture_url: str, receiver: Receiver
) -> None:
    await finish(video_mock, picture_url, receiver)
    delivery_id = (await video_mock.row(TASK))["callbacks"][-1]["delivery_id"]
    reply = await video_mock.post(f"/admin/callbacks/{delivery_id}/replay", None)
    assert reply.status_code == 202
    await receiver.count(3)
    assert receiver.raw[2] == receiver.raw[1]
    assert (await video_mock.post("/admin/callbacks/msg_x/replay", None)).status_code == 404
