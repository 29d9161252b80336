"""Who is let in: the vendor by token, and the operator alone from outside."""

from pathlib import Path

from pydantic import SecretStr

from services.callback.settings import CallbackSettings
from shared.jobs.tokens import operator_key
from tests.services.callback.conftest import SECRET, Vendor, receiving

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
