"""Who is let in: the vendor by token and signature, and the operator alone from outside."""

import base64
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from services.callback.settings import CallbackSettings
from services.callback.signature import Signatures
from shared.jobs.tokens import operator_key
from shared.settings.common import load
from tests.services.callback.conftest import SECRET, Vendor, receiving

NEW, OLD, FOREIGN = (f"whsec_{base64.b64encode(bytes([each]) * 24).decode()}" for each in (1, 2, 3))
RAW = b'{"task_id": "task-1"}'
KEY = {"Authorization": f"Bearer {operator_key(SECRET)}"}
OPERATORS = ["/callbacks", "/metrics", "/docs", "/openapi.json", "/redoc", "/callbacks/", "/no"]


async def test_guarded_receiver_shows_receipts_only_to_the_operator(
    tmp_path: Path,
) -> None:
    async with receiving(tmp_path, callback_guarded=True) as vendor:
        http = vendor.http
        for path in OPERATORS:
            refused = await http.get(path)
            with_secret = await http.get(path, headers={"Authorization": f"Bearer {SECRET}"})
            assert refused.status_code == with_secret.status_code == 401, path
            assert refused.headers["www-authenticate"] == "Bearer"
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.json()["code"] == "not_authorized"
            assert (await http.get(path, headers=KEY)).status_code != 401
        vendor.record()
        assert (await vendor.send("processing")).status_code == 200
        assert (await http.post(vendor.address(secret="x" * 40), json={})).status_code == 404
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).status_code == 503


async def test_unguarded_receiver_shows_everything(offline: Vendor) -> None:
    for path in ("/callbacks?job_id=x", "/metrics", "/docs", "/openapi.json"):
        assert (await offline.http.get(path)).status_code == 200
    assert (await offline.http.get("/no")).status_code == 404


def test_exposed_receiver_is_guarded_by_default() -> None:
    for given, guarded in (
        ({}, False),
        ({"listen_host": "localhost"}, False),
        ({"listen_host": "::1"}, False),
        ({"listen_host": "0.0.0.0"}, True),
        ({"listen_host": "192.168.1.5"}, True),
        ({"listen_host": "receiver.example"}, True),
        ({"listen_host": "0.0.0.0", "callback_guarded": "off"}, False),
        ({"callback_guarded": "on"}, True),
        ({"callback_url": "https://hooks.example"}, True),
        ({"callback_url": "http://[::1]:8001"}, False),
    ):
        settings = CallbackSettings.model_validate({"callback_secret": SecretStr(SECRET), **given})
        assert settings.callback_guarded is guarded


def signed(raw: bytes, *secrets: str, ago: float = 0) -> dict[str, str]:
    at = datetime.now(UTC) - timedelta(seconds=ago)
    return {
        "webhook-id": "d-1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(s).sign("d-1", at, raw.decode()) for s in secrets),
    }


def fits(headers: Mapping[str, str], raw: bytes = RAW, secret: str | None = f"{NEW},{OLD}") -> bool:
    return Signatures(SecretStr(secret) if secret else None).fits(headers, raw)


def test_valid_signatures() -> None:
    for headers in (
        signed(RAW, NEW),
        signed(RAW, OLD),
        signed(RAW, FOREIGN, OLD),
        signed(RAW, NEW, ago=240),
        signed(RAW, NEW, ago=-240),
        {},
    ):
        assert fits(headers), headers


def test_invalid_signatures() -> None:
    good = signed(RAW, NEW)
    other_version = good["webhook-signature"].replace("v1,", "v2,")
    for headers in (
        signed(RAW, FOREIGN),
        signed(RAW + b" ", NEW),
        signed(RAW, NEW, ago=310),
        signed(RAW, NEW, ago=-600),
        good | {"webhook-id": "d-2"},
        good | {"webhook-timestamp": str(int(time.time()) - 5)},
        good | {"webhook-timestamp": "²"},
        good | {"webhook-timestamp": "9" * 30},
        good | {"webhook-signature": ""},
        good | {"webhook-signature": other_version},
        {"webhook-signature": good["webhook-signature"]},
    ):
        assert not fits(headers), headers


def test_secret_may_be_missing_or_lack_its_prefix() -> None:
    assert fits(signed(RAW, FOREIGN), secret=None)
    assert fits(signed(RAW, NEW), secret=NEW.removeprefix("whsec_"))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (f"{NEW},not base64!", "is not base64"),
        ("whsec_", "has an empty secret"),
        (f"{NEW},", "has an empty secret"),
        (f"{NEW}, ,{NEW}", "has an empty secret"),
    ],
)
def test_weak_secret_is_reported_and_hidden(
    wrong: str, why: str, *, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CALLBACK_SECRET", SECRET)
    monkeypatch.setenv("KLING_WEBHOOK_SECRET", wrong)
    with pytest.raises(SystemExit):
        load(CallbackSettings)
    line = capsys.readouterr().err
    assert f"KLING_WEBHOOK_SECRET: {why}" in line
    assert "not base64!" not in line


async def test_wrong_signature_is_a_forgery_despite_its_token(
    tmp_path: Path,
) -> None:
    """The token alone is enough, and one that fits changes nothing."""
    async with receiving(tmp_path, kling_webhook_secret=SecretStr(NEW)) as vendor:
        vendor.record()

        async def fate(raw: bytes, *secrets: str) -> tuple[int, str]:
            headers = signed(raw, *secrets) if secrets else {}
            headers["Content-Type"] = "application/json"
            answer = await vendor.http.post(vendor.address(), content=raw, headers=headers)
            return answer.status_code, (await vendor.receipts())[-1]["fate"]

        # They report no end, so that no job is signalled.
        unsigned, right = (json.dumps(vendor.body("processing", at)).encode() for at in (1, 2))
        assert await fate(unsigned) == (200, "applied")
        assert await fate(right, NEW) == (200, "applied")
        # It is found out before the body is looked at.
        for raw in (right, b"{"):
            assert await fate(raw, FOREIGN) == (404, "rejected")
