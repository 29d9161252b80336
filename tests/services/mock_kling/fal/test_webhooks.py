"""fal's webhooks: one for an end, signed by a key that is published, tried again for two hours."""

import base64
import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.mock_kling.fal.signing import SCHEDULE
from tests.services.mock_core.serving import HURRY, Receiver, Service
from tests.services.mock_kling.fal.test_queue import KEY, call
from tests.services.mock_kling.native.client import configure


async def _public_key(service: Service) -> Ed25519PublicKey:
    (key,) = (await service.json("/fal/.well-known/jwks.json"))["keys"]
    assert (key["kty"], key["crv"]) == ("OKP", "Ed25519")
    return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "="))


def _message(headers: dict[str, str], body: bytes) -> tuple[bytes, bytes]:
    """The signature, and what it is made of."""
    names = ("request-id", "user-id", "timestamp")
    told = [headers[f"x-fal-webhook-{name}"] for name in names]
    message = "\n".join([*told, hashlib.sha256(body).hexdigest()])
    return bytes.fromhex(headers["x-fal-webhook-signature"]), message.encode()


async def test_a_good_end_is_told_once_and_signed(video_mock: Service, receiver: Receiver) -> None:
    queued = await call(video_mock, webhook=receiver.url)
    await video_mock.quiet()
    (body,) = receiver.bodies
    assert (body["request_id"], body["status"]) == (queued["request_id"], "OK")
    assert body["gateway_request_id"] == queued["request_id"]
    url = body["payload"]["video"]["url"]
    assert (await video_mock.http.get(url)).status_code == 200
    key = await _public_key(video_mock)
    headers = receiver.headers[0]
    assert headers["x-fal-webhook-request-id"] == queued["request_id"]
    key.verify(*_message(headers, receiver.raw[0]))
    with pytest.raises(InvalidSignature):
        key.verify(*_message(headers, receiver.raw[0] + b" "))


async def test_a_bad_end_is_told_with_the_models_words(
    video_mock: Service, receiver: Receiver
) -> None:
    await call(video_mock, webhook=receiver.url, image_url=None)
    await video_mock.quiet()
    (body,) = receiver.bodies
    assert (body["status"], body["error"]) == ("ERROR", "Invalid status code: 422")
    assert body["payload"]["detail"][0]["loc"] == ["body", "image_url"]


async def test_a_cancelled_request_is_told_by_nobody(
    video_mock: Service, receiver: Receiver
) -> None:
    await configure(video_mock, speed=0.001)
    queued = await call(video_mock, webhook=receiver.url)
    await video_mock.http.put(queued["cancel_url"], headers=KEY)
    await configure(video_mock, speed=HURRY)
    await video_mock.quiet()
    assert receiver.raw == []


async def test_the_ledger_has_our_id_of_the_webhooks_query(
    video_mock: Service, receiver: Receiver
) -> None:
    address = receiver.url.replace("task=a", "task=job-1.video.1")
    first, second = [await call(video_mock, webhook=address) for _ in range(2)]
    assert first["request_id"] != second["request_id"]
    rows = await video_mock.json("/admin/ledger?external_id=job-1.video.1")
    assert [row["duplicate"] for row in rows] == [False, True]


async def test_it_is_tried_ten_times_more_within_two_hours(
    video_mock: Service, receiver: Receiver
) -> None:
    assert (len(SCHEDULE), sum(SCHEDULE)) == (11, 7200)
    receiver.status = 500
    await configure(video_mock, speed=HURRY)
    await call(video_mock, webhook=receiver.url)
    await video_mock.quiet()
    assert len(receiver.raw) == len(SCHEDULE)
    assert set(receiver.raw) == {receiver.raw[0]}


async def test_it_is_tried_until_it_is_taken(video_mock: Service, receiver: Receiver) -> None:
    receiver.statuses = [503, 404]
    await configure(video_mock, speed=HURRY)
    await call(video_mock, webhook=receiver.url)
    await video_mock.quiet()
    assert len(receiver.raw) == 3


async def test_a_webhook_elsewhere_is_refused(video_mock: Service) -> None:
    reply = await video_mock.http.post(
        "/fal/fal-ai/kling-video/v2.1/standard/image-to-video",
        params={"fal_webhook": "http://10.0.0.1/callback"},
        json={},
        headers=KEY,
    )
    assert (reply.status_code, set(reply.json())) == (400, {"detail"})
    assert (await video_mock.json("/admin/stats"))["accepted"] == 0
