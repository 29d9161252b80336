"""Who is let in at the vendor's own wire: by a key as it is, or by a JWT in its time."""

import time
from email.utils import parsedate_to_datetime

import httpx
import pytest

from services.mock_kling.settings import DEFAULT_API_KEY
from tests.services.mock_core.serving import Service
from tests.services.mock_kling.native.client import (
    SHAPES,
    TASKS,
    auth,
    configure,
    create,
    shape,
    token,
)

OTHER_SECRET = "another-secret-of-thirty-two-characters"


async def _ask(service: Service, credential: str) -> httpx.Response:
    return await service.http.get(TASKS, headers=auth(credential))


async def test_a_key_is_taken_as_it_is(video_mock: Service) -> None:
    assert (await _ask(video_mock, DEFAULT_API_KEY)).status_code == 200
    await configure(video_mock, api_key="another-key")
    assert (await _ask(video_mock, "another-key")).status_code == 200
    old = await _ask(video_mock, DEFAULT_API_KEY)
    assert (old.status_code, old.json()["code"]) == (401, 1002)
    assert old.json()["message"] == "api key not found"
    assert (await _ask(video_mock, token())).status_code == 200


@pytest.mark.parametrize(("credential", "code"), [(DEFAULT_API_KEY, 1002), (token(), 1000)])
async def test_a_region_doesnt_know_the_keys_of_another(
    video_mock: Service, credential: str, code: int
) -> None:
    await configure(video_mock, address="other-region")
    reply = await _ask(video_mock, credential)
    assert (reply.status_code, reply.json()["code"]) == (401, code)
    assert shape(reply.json()) == shape(SHAPES["error"])


@pytest.mark.parametrize(("address", "status"), [("page", 200), ("blocked", 446)])
async def test_what_is_not_the_api_answers_with_a_page(
    video_mock: Service, address: str, status: int
) -> None:
    await configure(video_mock, address=address)
    for reply in (await _ask(video_mock, DEFAULT_API_KEY), await create(video_mock)):
        assert reply.status_code == status
        assert reply.headers["content-type"].startswith("text/html")
    assert (await video_mock.json("/admin/stats"))["accepted"] == 0


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 1001),
        ({"Authorization": "Basic eA=="}, 1002),
        (auth("nonsense"), 1002),
        (auth("a.b.c"), 1002),
        (auth(token(secret=OTHER_SECRET)), 1000),
        (auth(token("another-key")), 1000),
        (auth(token(exp="soon")), 1002),
        (auth(token(nbf=time.time() + 86_400)), 1003),
        (auth(token(exp=time.time() - 1)), 1004),
    ],
)
async def test_what_is_wrong_with_the_token(
    video_mock: Service, headers: dict[str, str], code: int
) -> None:
    reply = await video_mock.http.get(TASKS, headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (401, code)
    assert shape(reply.json()) == shape(SHAPES["error"])


async def test_a_tokens_window_runs_by_the_vendors_clock(video_mock: Service) -> None:
    headers = auth(token())
    assert (await video_mock.http.get(TASKS, headers=headers)).status_code == 200
    await video_mock.http.put("/admin/config", json={"speed": 1_000_000})
    while (reply := await video_mock.http.get(TASKS, headers=headers)).status_code == 200:
        pass
    assert reply.json()["code"] == 1004
    assert (await video_mock.http.get(TASKS, headers=auth(token(jti="2")))).status_code == 200


@pytest.mark.parametrize(("skew", "code"), [(3600, 1004), (-3600, 1003)])
async def test_a_clock_that_is_off_refuses_good_tokens(
    video_mock: Service, skew: int, code: int
) -> None:
    await video_mock.http.put("/admin/config", json={"clock_skew": skew})
    reply = await video_mock.http.get(TASKS, headers=auth(token()))
    assert (reply.status_code, reply.json()["code"]) == (401, code)


@pytest.mark.parametrize("skew", [7200, -7200])
async def test_a_token_by_the_date_of_a_refusal_is_taken(video_mock: Service, skew: int) -> None:
    await configure(video_mock, clock_skew=skew)
    refused = await _ask(video_mock, token())
    assert refused.status_code == 401
    there = parsedate_to_datetime(refused.headers["date"]).timestamp()
    assert there == pytest.approx(time.time() + skew, abs=60)
    minted = token(exp=int(there) + 1800, nbf=int(there) - 5)
    assert (await _ask(video_mock, minted)).status_code == 200
