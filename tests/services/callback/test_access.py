"""Who is let in: the vendor by token and signature, and the operator alone from outside."""

import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
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
from shared.http.client import http_client
from shared.jobs.ids import new_job_id
from shared.jobs.tokens import operator_key
from shared.settings.common import load
from tests.fixtures.processes import free_port, serving
from tests.services.callback.conftest import SECRET, Vendor
from tests.shared.standins import client_of_nobody

NEW, OLD, FOREIGN = (f"whsec_{base64.b64encode(bytes([each]) * 24).decode()}" for each in (1, 2, 3))
RAW = b'{"task_id": "task-1"}'
KEY = {"Authorization": f"Bearer {operator_key(SECRET)}"}
OPERATORS = ["/callbacks", "/metrics", "/docs", "/openapi.json", "/redoc", "/callbacks/", "/no"]
OPERATORS += ["/lines?job_id=x"]


@asynccontextmanager
async def receiver(data_dir: Path, **given: object) -> AsyncIterator[httpx.AsyncClient]:
    settings = CallbackSettings.model_validate(
        {"data_dir": data_dir, "callback_secret": SecretStr(SECRET), **given}
    )
    app = create_app(settings, await client_of_nobody(free_port()))
    async with serving(app) as base, http_client(base) as http:
        yield http


@pytest.mark.parametrize("path", OPERATORS)
async def test_a_guarded_receiver_shows_them_to_the_operator_alone(
    tmp_path: Path, path: str
) -> None:
    async with receiver(tmp_path, callback_guarded=True) as http:
        refused = await http.get(path)
        with_secret = await http.get(path, headers={"Authorization": f"Bearer {SECRET}"})
        allowed = await http.get(path, headers=KEY)

    assert refused.status_code == with_secret.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "not_authorized"
    assert allowed.status_code != 401


async def test_the_vendor_and_whoever_watches_need_no_key(tmp_path: Path) -> None:
    async with receiver(tmp_path, callback_guarded=True) as http:
        vendor = Vendor(http, new_job_id(), tmp_path)
        vendor.record()
        assert (await vendor.send("processing")).status_code == 200
        assert (await http.post(vendor.address(secret="x" * 40), json={})).status_code == 404
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).status_code == 503


async def test_inside_everybody_is_shown_all(tmp_path: Path) -> None:
    async with receiver(tmp_path) as http:
        for path in ("/callbacks?job_id=x", "/metrics", "/docs", "/openapi.json"):
            assert (await http.get(path)).status_code == 200
        assert (await http.get("/no")).status_code == 404


@pytest.mark.parametrize(
    ("given", "guarded"),
    [
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
    ],
)
def test_one_that_is_reached_from_beyond_this_machine_is_guarded_unless_told(
    given: dict[str, str], guarded: bool
) -> None:
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
    assert "KLING_WEBHOOK_SECRET: is not base64" in line
    assert "not base64" not in line.replace("is not base64", "")


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
    """A callback that reports no end, so that no job is signalled."""
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
    # It is found out before the body is looked at.
    headers = signed(b"{", FOREIGN) | {"Content-Type": "application/json"}
    unread = await signing.http.post(signing.address(), content=b"{", headers=headers)
    assert unread.status_code == 404
