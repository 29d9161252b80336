"""What the vendor's port shows beside callbacks: to all inside, outside to the operator alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from services.callback.app import create_app
from services.callback.settings import CallbackSettings
from shared.http.client import http_client
from shared.jobs.ids import new_job_id
from shared.jobs.tokens import operator_key
from tests.services.callback.conftest import SECRET, Vendor
from tests.shared.processes import free_port
from tests.shared.serving import serving
from tests.shared.standins import client_of_nobody

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


async def test_inside_everybody_is_shown_all_but_a_replay(tmp_path: Path) -> None:
    async with receiver(tmp_path) as http:
        for path in ("/callbacks", "/metrics", "/docs", "/openapi.json"):
            assert (await http.get(path)).status_code == 200
        assert (await http.get("/no")).status_code == 404
        refused = await http.post("/callbacks/1/replay")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")


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
