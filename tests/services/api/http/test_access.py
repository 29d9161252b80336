"""Who is let in: the token, the page's origin, the form of what is sent and asked for."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr, ValidationError
from starlette.routing import Route
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from services.api.app import create_app
from services.api.http import access
from services.api.settings import ApiSettings
from tests.services.api.conftest import BODY, Api, NewApi, NewHttp

TOKEN = "a-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ELSEWHERE = "https://front.example"

CHANGES = [
    ("POST", "/jobs"),
    ("PUT", "/slots"),
    ("PUT", "/slots/job"),
    ("POST", "/slots/job/free"),
    ("POST", "/jobs/job-0123456789abcdef01234567/cancel"),
    ("POST", "/jobs/job-0123456789abcdef01234567/retry"),
    ("POST", "/console/mock-kling/faults"),
    ("DELETE", "/console/mock-kling/faults"),
]


def is_problem(answer: httpx.Response, status: int, code: str) -> bool:
    assert answer.headers["content-type"] == "application/problem+json"
    return (answer.status_code, answer.json()["code"]) == (status, code)


async def test_change_without_the_token_is_refused(new_http: NewHttp) -> None:
    """Each refusal is counted by its reason."""
    wrong = ["", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer \xe9", TOKEN]
    async with new_http(api_token=TOKEN) as http:
        before = await refusals(http)
        for method, path in CHANGES:
            for given in wrong:
                headers = {b"Authorization": given.encode("latin-1")} if given else {}
                answer = await http.request(method, path, headers=headers)
                assert is_problem(answer, 401, "token_missing"), (method, path, given)
                assert answer.headers["www-authenticate"] == "Bearer"
        assert await refusals(http) == before + len(CHANGES) * len(wrong)


async def refusals(http: httpx.AsyncClient) -> float:
    """Requests without the token so far."""
    text = (await http.get("/metrics")).text
    name = 'genvideo_api_refused_total{code="token_missing"} '
    counted = [line.removeprefix(name) for line in text.splitlines() if line.startswith(name)]
    return float(counted[0]) if counted else 0


async def test_token_or_a_read_is_accepted(new_http: NewHttp) -> None:
    async with new_http(api_token=TOKEN) as http:
        assert (await http.post("/jobs", json=BODY, headers=BEARER)).status_code == 503
        assert (await http.get("/jobs")).status_code == 200
        assert (await http.get("/")).status_code == 200


def test_every_changing_route_needs_the_token() -> None:
    """Access control goes by the method, so a route that changes something may not be a GET."""
    app = create_app(ApiSettings())
    changing = {
        (method, route.path)
        for route in app.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method not in ("GET", "HEAD")
    }
    assert all(method in ("POST", "PUT", "DELETE", "PATCH") for method, _ in changing)
    for calls in app.openapi()["paths"].values():
        for method, call in calls.items():
            needs: list[dict[str, list[str]]] = [] if method == "get" else [{"token": []}, {}]
            assert call.get("security", []) == needs, call["operationId"]


async def test_foreign_origin_changes_nothing_and_listed_ones_may(
    new_http: NewHttp,
) -> None:
    async with new_http(api_origins=f" {ELSEWHERE} ,", api_public_url="http://public:9") as http:
        for origin in ("https://evil.example", "null", "http://api.evil.example"):
            for method, path in CHANGES:
                answer = await http.request(method, path, headers={"Origin": origin})
                assert is_problem(answer, 403, "foreign_origin"), (method, path, origin)
                assert "access-control-allow-origin" not in answer.headers
        for origin in ("http://api", ELSEWHERE, "http://public:9"):
            answer = await http.post("/jobs", json=BODY, headers={"Origin": origin})
            assert answer.status_code == 503


async def test_cors_is_off_until_an_origin_is_listed(new_http: NewHttp) -> None:
    asked = {"Origin": ELSEWHERE, "Access-Control-Request-Method": "POST"}
    async with new_http() as http:
        assert "access-control-allow-origin" not in (await http.get("/jobs", headers=asked)).headers
        assert is_problem(await http.options("/jobs", headers=asked), 405, "method_not_allowed")


async def test_listed_origin_may_read_and_send(new_http: NewHttp) -> None:
    async with new_http(api_origins=ELSEWHERE, api_token=TOKEN) as http:
        asked = {
            "Origin": ELSEWHERE,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "authorization, idempotency-key",
        }
        before = await http.options("/slots", headers=asked)
        assert before.status_code == 200
        assert before.headers["access-control-allow-origin"] == ELSEWHERE
        assert "authorization" in before.headers["access-control-allow-headers"]

        refused = await http.post("/jobs", json=BODY, headers={"Origin": ELSEWHERE})
        assert is_problem(refused, 401, "token_missing")
        assert refused.headers["access-control-allow-origin"] == ELSEWHERE
        assert "Retry-After" in refused.headers["access-control-expose-headers"]

        foreign = {**asked, "Origin": "https://evil.example"}
        assert is_problem(await http.options("/slots", headers=foreign), 405, "method_not_allowed")


async def test_star_allows_any_origin(new_http: NewHttp) -> None:
    async with new_http(api_origins="*") as http:
        answer = await http.get("/jobs", headers={"Origin": ELSEWHERE})
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_body_that_is_not_declared_as_json_is_refused(offline: httpx.AsyncClient) -> None:
    raw = json.dumps(BODY).encode()
    for media_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = await offline.post("/jobs", content=raw, headers={"Content-Type": media_type})
        assert is_problem(answer, 415, "not_json"), media_type
    fine = {"Content-Type": "application/problem+json; charset=utf-8"}
    assert (await offline.post("/jobs", content=raw, headers=fine)).status_code == 503


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_token": "short"},
        {"api_token": "with a blank in the midst"},
        {"api_origins": "front.example"},
        {"api_origins": "https://front.example/path"},
        {"api_max_sockets": 0},
        {"api_exposed": True},
        {"listen_host": "0.0.0.0"},
        {"allowed_hosts": "https://front.example"},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ApiSettings(**wrong)


def test_exposure_is_a_setting_or_detected() -> None:
    assert not ApiSettings().api_exposed
    assert not ApiSettings(listen_host="::1").api_exposed
    assert ApiSettings(listen_host="10.1.2.3", api_token=SecretStr(TOKEN)).api_exposed
    # In a container the stack knows better.
    assert not ApiSettings(listen_host="0.0.0.0", api_exposed=False).api_exposed


JOB = "/jobs/job-0123456789abcdef01234567"
READS = ["/jobs", JOB, f"{JOB}/events", f"{JOB}/image", "/slots", "/metrics", "/docs"]
READS += ["/openapi.json", "/dashboard/config", "/console/health", "/nowhere"]


@pytest.fixture
async def exposed(lonely: Api, new_api: NewApi) -> AsyncIterator[Api]:
    async with new_api(lonely.service.client, api_exposed=True, api_token=TOKEN) as api:
        yield api


async def test_exposed_api_reads_only_health_and_page_without_the_token(
    exposed: Api,
) -> None:
    wrong = {"Authorization": f"Bearer {TOKEN}x"}, {"Cookie": "genvideo-session-8000="}
    for path in READS:
        for headers in ({}, *wrong):
            answer = await exposed.http.get(path, headers=headers)
            assert is_problem(answer, 401, "token_missing"), path
    pages = ("", "dashboard/app.js", "dashboard/texts.json", "dashboard/errors.json")
    for path in ("healthz", "readyz", *pages):
        assert (await exposed.http.get(f"/{path}")).status_code != 401, path
    for path in ("/jobs", "/metrics", "/dashboard/config"):
        assert (await exposed.http.get(path, headers=BEARER)).status_code == 200


async def test_socket_needs_the_token_or_a_session(exposed: Api) -> None:
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


async def test_session_replaces_the_token_and_does_not_contain_it(exposed: Api) -> None:
    cookie = (await began(exposed)).headers["set-cookie"]
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert (await exposed.http.get("/jobs")).status_code == 200
    # It does not make another one, or it would never end.
    assert (await exposed.http.post("/session")).status_code == 401


async def test_session_counts_only_for_our_own_page(exposed: Api) -> None:
    await began(exposed)
    elsewhere = {"Origin": "http://127.0.0.1:1"}
    assert (await exposed.http.put("/slots", json={}, headers=elsewhere)).status_code == 401
    ours = {"Origin": exposed.base}
    assert (await exposed.http.put("/slots", json={}, headers=ours)).status_code != 401


async def test_session_is_signed_and_expires_in_time_and_with_the_token(
    exposed: Api, lonely: Api, new_api: NewApi, *, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookie = (await began(exposed)).headers["set-cookie"].partition(";")[0]
    name, _, value = cookie.partition("=")
    end, _, signature = value.partition(".")
    exposed.http.cookies.clear()
    for given, status in ((cookie, 200), (f"{name}={int(end) + 1}.{signature}", 401)):
        assert (await exposed.http.get("/jobs", headers={"Cookie": given})).status_code == status
    settings = {"api_exposed": True, "api_token": f"{TOKEN}-new"}
    async with new_api(lonely.service.client, **settings) as api:
        assert (await api.http.get("/jobs", headers={"Cookie": cookie})).status_code == 401
    secure = {"api_token": TOKEN, "api_public_url": "https://127.0.0.1"}
    async with new_api(lonely.service.client, **secure) as api:
        assert "Secure" in (await began(api)).headers["set-cookie"]
    monkeypatch.setattr(access, "SESSION_SECONDS", -1)
    late = {"Cookie": (await began(exposed)).headers["set-cookie"].partition(";")[0]}
    exposed.http.cookies.clear()
    assert (await exposed.http.get("/jobs", headers=late)).status_code == 401
