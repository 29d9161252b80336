"""Signatures as another implementation makes them: verified where they come, and no proof."""

import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from services.callback.app import create_app
from services.callback.settings import CallbackSettings
from services.callback.signature import Signatures
from shared.jobs.ids import new_job_id
from shared.settings.common import load
from tests.services.callback.conftest import SECRET, Vendor
from tests.shared.processes import free_port
from tests.shared.standins import client_of_nobody

NEW, OLD, FOREIGN = (f"whsec_{base64.b64encode(bytes([each]) * 24).decode()}" for each in (1, 2, 3))
RAW = b'{"task_id": "task-1"}'


def signed(raw: bytes, *secrets: str, ago: float = 0) -> dict[str, str]:
    at = datetime.now(UTC) - timedelta(seconds=ago)
    return {
        "webhook-id": "d-1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(s).sign("d-1", at, raw.decode()) for s in secrets),
    }


def fits(headers: Mapping[str, str], raw: bytes = RAW, secret: str | None = f"{NEW},{OLD}") -> bool:
    return Signatures(SecretStr(secret) if secret else None).fits(headers, raw)


# Made when a test runs, for what is signed is good for five minutes.
FITTING: dict[str, Callable[[], dict[str, str]]] = {
    "new": lambda: signed(RAW, NEW),
    "old": lambda: signed(RAW, OLD),
    "one of two": lambda: signed(RAW, FOREIGN, OLD),
    "a while ago": lambda: signed(RAW, NEW, ago=240),
    "a clock ahead": lambda: signed(RAW, NEW, ago=-240),
    "none came": dict,
}
UNFIT: dict[str, Callable[[], dict[str, str]]] = {
    "of another secret": lambda: signed(RAW, FOREIGN),
    "of another body": lambda: signed(RAW + b" ", NEW),
    "too old": lambda: signed(RAW, NEW, ago=310),
    "too far ahead": lambda: signed(RAW, NEW, ago=-600),
    "of another id": lambda: signed(RAW, NEW) | {"webhook-id": "d-2"},
    "of another time": lambda: signed(RAW, NEW) | {"webhook-timestamp": str(int(time.time()) - 5)},
    "a time that is no number": lambda: signed(RAW, NEW) | {"webhook-timestamp": "²"},
    "a time without end": lambda: signed(RAW, NEW) | {"webhook-timestamp": "9" * 30},
    "empty": lambda: signed(RAW, NEW) | {"webhook-signature": ""},
    "of another version": lambda: (
        signed(RAW, NEW)
        | {"webhook-signature": "v2," + signed(RAW, NEW)["webhook-signature"].removeprefix("v1,")}
    ),
    "alone": lambda: {"webhook-signature": signed(RAW, NEW)["webhook-signature"]},
}


@pytest.mark.parametrize("made", FITTING.values(), ids=list(FITTING))
def test_what_fits(made: Callable[[], dict[str, str]]) -> None:
    assert fits(made())


@pytest.mark.parametrize("made", UNFIT.values(), ids=list(UNFIT))
def test_what_does_not(made: Callable[[], dict[str, str]]) -> None:
    assert not fits(made())


def test_without_a_secret_nothing_is_verified() -> None:
    assert fits(signed(RAW, FOREIGN), secret=None)


def test_a_secret_without_its_prefix_is_the_same() -> None:
    assert fits(signed(RAW, NEW), secret=NEW.removeprefix("whsec_"))


def test_a_secret_that_is_none_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CALLBACK_SECRET", SECRET)
    monkeypatch.setenv("KLING_WEBHOOK_SECRET", f"{NEW},not base64!")
    with pytest.raises(SystemExit):
        load(CallbackSettings)
    line = capsys.readouterr().err
    assert "KLING_WEBHOOK_SECRET: is no base64" in line
    assert "not base64" not in line.replace("is no base64", "")


@pytest.mark.parametrize("empty", ["whsec_", f"{NEW},", f"{NEW}, ,{NEW}"])
def test_a_secret_that_is_empty_is_refused(
    empty: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anyone could sign with it."""
    monkeypatch.setenv("CALLBACK_SECRET", SECRET)
    monkeypatch.setenv("KLING_WEBHOOK_SECRET", empty)
    with pytest.raises(SystemExit):
        load(CallbackSettings)
    assert "KLING_WEBHOOK_SECRET: has an empty secret" in capsys.readouterr().err


@pytest.fixture
async def signing(tmp_path: Path) -> AsyncIterator[Vendor]:
    """A vendor whose secret the receiver knows."""
    settings = CallbackSettings(
        data_dir=tmp_path,
        callback_secret=SecretStr(SECRET),
        kling_webhook_secret=SecretStr(NEW),
    )
    app = create_app(settings, await client_of_nobody(free_port()))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://callback") as http,
    ):
        yield Vendor(http, new_job_id(), tmp_path)


async def send(vendor: Vendor, *secrets: str, body: dict[str, Any] | None = None) -> httpx.Response:
    """A callback that tells of no end, so that nobody need be told."""
    raw = json.dumps(body or vendor.body("processing")).encode()
    headers = signed(raw, *secrets) if secrets else {}
    headers["Content-Type"] = "application/json"
    return await vendor.http.post(vendor.address(), content=raw, headers=headers)


@pytest.mark.parametrize("secrets", [(), (NEW,)], ids=["unsigned", "signed"])
async def test_the_token_alone_is_enough_and_a_signature_changes_nothing(
    signing: Vendor, secrets: tuple[str, ...]
) -> None:
    signing.record()
    answer = await send(signing, *secrets)
    assert (answer.status_code, answer.json()["fate"]) == (200, "applied")


async def test_one_that_does_not_fit_is_a_forged_callback_whatever_its_token(
    signing: Vendor,
) -> None:
    signing.record()
    answer = await send(signing, FOREIGN)
    assert answer.status_code == 404
    assert (await signing.receipts())[0]["fate"] == "rejected"


async def test_the_second_generations_form_is_read_as_well(signing: Vendor) -> None:
    signing.record()
    ours = f"{signing.job_id}.video.1"
    body = {"id": "task-1", "status": "processing", "update_time": 5, "external_id": ours}
    for each in (body, {"code": 0, "data": body | {"update_time": 6}}):
        answer = await send(signing, NEW, body=each)
        assert (answer.status_code, answer.json().get("fate")) == (200, "applied"), answer.text
    assert [row["updated_at"] for row in await signing.receipts()] == [5, 6]
    other = await send(signing, NEW, body=body | {"external_id": f"{signing.job_id}.video.2"})
    assert other.status_code == 404
