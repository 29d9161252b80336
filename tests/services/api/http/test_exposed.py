"""An API that other machines reach: nothing is read without the token, or a session by it."""

from collections.abc import AsyncIterator

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from services.api.http.parts import session
from tests.services.api.conftest import Api, NewApi

TOKEN = "a-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
JOB = "/jobs/job-0123456789abcdef01234567"
READS = ["/jobs", JOB, f"{JOB}/events", f"{JOB}/image", "/events", "/slots", "/metrics", "/docs"]
READS += ["/openapi.json", "/dashboard/config", "/console/health", "/nowhere"]
READS += ["/lines?job_id=x", "/console/lines?job_id=x", "/reports/20260101-000000-0000/report.html"]


@pytest.fixture
async def exposed(lonely: Api, new_api: NewApi) -> AsyncIterator[Api]:
    async with new_api(lonely.service.client, api_exposed=True, api_token=TOKEN) as api:
        yield api


@pytest.mark.parametrize("path", READS)
async def test_nothing_is_read_without_the_token(exposed: Api, path: str) -> None:
    wrong = {"Authorization": f"Bearer {TOKEN}x"}, {"Cookie": "genvideo-session-8000="}
    for headers in ({}, *wrong):
        answer = await exposed.http.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")


@pytest.mark.parametrize(
    "path",
    [
        "/healthz",
        "/readyz",
        "/",
        "/dashboard/app.js",
        "/dashboard/texts.json",
        "/dashboard/errors.json",
    ],
)
async def test_signs_of_life_and_the_page_need_no_token(exposed: Api, path: str) -> None:
    assert (await exposed.http.get(path)).status_code != 401


async def test_with_the_token_all_is_read(exposed: Api) -> None:
    for path in ("/jobs", "/metrics", "/dashboard/config"):
        assert (await exposed.http.get(path, headers=BEARER)).status_code == 200


async def test_a_socket_is_opened_with_the_token_or_a_session_alone(exposed: Api) -> None:
    address = f"{exposed.sockets}/ws/jobs"
    with pytest.raises(InvalidStatus) as refused:
        await connect(address, proxy=None)
    assert refused.value.response.status_code == 401
    cookie = {"Cookie": (await began(exposed)).headers["set-cookie"].partition(";")[0]}
    for headers in (BEARER, cookie):
        async with connect(address, proxy=None, additional_headers=headers):
            pass


async def began(api: Api) -> httpx.Response:
    answer = await api.http.post("/session", headers=BEARER)
    assert answer.status_code == 204
    return answer


async def test_a_session_stands_for_the_token_and_is_not_it(exposed: Api) -> None:
    cookie = (await began(exposed)).headers["set-cookie"]
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert (await exposed.http.get("/jobs")).status_code == 200
    # It does not make another one, or it would never end.
    assert (await exposed.http.post("/session")).status_code == 401


async def test_a_session_counts_for_our_own_page_alone(exposed: Api) -> None:
    await began(exposed)
    elsewhere = {"Origin": "http://127.0.0.1:1"}
    assert (await exposed.http.put("/slots", json={}, headers=elsewhere)).status_code == 401
    ours = {"Origin": exposed.base}
    assert (await exposed.http.put("/slots", json={}, headers=ours)).status_code != 401


async def test_a_session_ends(exposed: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "SECONDS", -1)
    cookie = (await began(exposed)).headers["set-cookie"].partition(";")[0]
    answer = await exposed.http.get("/jobs", headers={"Cookie": cookie})
    assert answer.status_code == 401


async def test_another_token_ends_it(exposed: Api, lonely: Api, new_api: NewApi) -> None:
    cookie = {"Cookie": (await began(exposed)).headers["set-cookie"].partition(";")[0]}
    for token, status in ((TOKEN, 200), (f"{TOKEN}-new", 401)):
        settings = {"api_exposed": True, "api_token": token}
        async with new_api(lonely.service.client, **settings) as api:
            assert (await api.http.get("/jobs", headers=cookie)).status_code == status


async def test_a_session_is_signed_and_secure_where_the_address_is(
    exposed: Api, lonely: Api, new_api: NewApi
) -> None:
    cookie = (await began(exposed)).headers["set-cookie"].partition(";")[0]
    name, _, value = cookie.partition("=")
    end, _, signature = value.partition(".")
    forged = {"Cookie": f"{name}={int(end) + 1}.{signature}"}
    exposed.http.cookies.clear()
    assert (await exposed.http.get("/jobs", headers=forged)).status_code == 401
    settings = {"api_token": TOKEN, "api_public_url": "https://127.0.0.1"}
    async with new_api(lonely.service.client, **settings) as api:
        assert "Secure" in (await began(api)).headers["set-cookie"]
