"""Refusals of the plain wires: members by their names, every mistake at once, whole `Allow`."""

import json
import tracemalloc
from typing import Any

import pytest

from services.mock_kling.settings import DEFAULT_API_KEY
from shared.http.mistakes import MOST
from tests.services.mock_comfyui.native.client import simple_graph
from tests.services.mock_core.serving import Service

JSON = {"Content-Type": "application/json"}
SURROGATE = "It holds half of a surrogate pair, which is no character."


async def problem(mock: Service, method: str, path: str, *, body: Any) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = await mock.http.request(method, path, content=raw, headers=JSON)
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    found = reply.json()
    for mistake in found["errors"]:
        assert f"{mistake['field']}: {mistake['message']}" in found["detail"]
    return [(mistake["field"], mistake["message"]) for mistake in found["errors"]]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("image_url", "It is missing.")]),
        (
            {"image_url": "http://a/b", "duration": 5, "prompt": "x" * 2501},
            [
                ("prompt", "Its length must be at most 2500."),
                ("duration", "It must be '5' or '10'."),
            ],
        ),
        ({"image_url": "http://a/b", "prompt": "\ud800"}, [("prompt", SURROGATE)]),
        (b"{", [("body", "It is not JSON: Expecting property name enclosed in double quotes.")]),
        (b"", [("body", "It is missing.")]),
        (b"\xff", [("body", "It is not JSON: it can't be decoded.")]),
    ],
)
async def test_a_submit_that_does_not_fit(
    video_mock: Service, body: Any, expected: list[tuple[str, str]]
) -> None:
    assert await problem(video_mock, "POST", "/video/submit", body=body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"effects": [{"where": "poll", "do": "hang", "with": {"seconds": 1}}, {"do": 3}]},
            [("effects[1].where", "It is missing."), ("effects[1].do", "It must be a string.")],
        ),
        (
            {"where": "submit", "do": "refuse", "match": {"nth": "x"}, "often": {"first": 0}},
            [
                ("match.nth", "It must be a number from 1 on, or ranges such as '1-3,7-'."),
                ("often.first", "It must be above 0."),
            ],
        ),
        ({"rules": [], "\ud800": 1}, [("body", SURROGATE)]),
        (
            {"where": "submit", "do": "refuse", "with": {"message": "\ud800"}},
            [("body", SURROGATE)],
        ),
        (
            {"where": "submit", "do": "refuse", "until": {"seconds": float("inf")}},
            [("body", "It holds NaN or Infinity, which JSON doesn't have.")],
        ),
    ],
)
async def test_a_plan_that_does_not_fit(
    video_mock: Service, body: Any, expected: list[tuple[str, str]]
) -> None:
    assert await problem(video_mock, "PUT", "/admin/faults", body=body) == expected


async def test_a_configuration_that_does_not_fit(video_mock: Service) -> None:
    found = await problem(video_mock, "PUT", "/admin/config", body={"speed": 0, "seconds": "x"})
    assert [field for field, _ in found] == ["speed", "seconds"]
    assert not any("Value error" in sentence for _, sentence in found)


KEYS = json.dumps(dict.fromkeys(map(str, range(80_000)), 1)).encode()
ITEMS = b"[" + b"0," * 500_000 + b"0]"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *(
            (path, body)
            for path in ("/video/submit", "/v1/videos/image2video", "/admin/config")
            for body in (KEYS, ITEMS)
        ),
        ("/admin/faults", KEYS),
        ("/admin/faults", b'{"rules":' + ITEMS + b"}"),
        ("/admin/faults", b'{"rules":[' + b"0," * 9_000 + b"0]}"),
        ("/admin/faults", b'{"where":"poll","do":"reset","match":' + KEYS + b"}"),
        ("/admin/faults", b'{"where":"poll","do":"refuse","with":' + KEYS + b"}"),
    ],
)
async def test_a_large_body_is_refused_cheaply(video_mock: Service, path: str, body: bytes) -> None:
    method = "PUT" if path.startswith("/admin/") else "POST"
    headers = {**JSON, "Authorization": f"Bearer {DEFAULT_API_KEY}"}
    tracemalloc.start()
    reply = await video_mock.http.request(method, path, content=body, headers=headers)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 400 <= reply.status_code < 500
    assert len(reply.content) < 5_000
    assert len(reply.json().get("errors", [])) <= MOST
    assert peak < 100_000_000


async def test_a_graph_of_any_size_is_refused_cheaply(image_mock: Service) -> None:
    for graph in (KEYS, b'{"1":' + ITEMS + b"}"):
        tracemalloc.start()
        body = b'{"prompt":' + graph + b"}"
        reply = await image_mock.http.post("/prompt", content=body, headers=JSON)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (reply.status_code, len(reply.content) < 5_000) in ((422, True), (500, True))
        assert peak < 100_000_000


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/admin/faults", "DELETE, GET, HEAD, POST, PUT"),
        ("/queue", "GET, HEAD, POST"),
        ("/api/history", "GET, HEAD, POST"),
        ("/img/submit", "POST"),
    ],
)
async def test_a_refused_method_hears_of_all_that_are_allowed(
    image_mock: Service, path: str, allowed: str
) -> None:
    reply = await image_mock.http.patch(path)
    assert (reply.status_code, reply.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("odd", ['"\\ud800"', "NaN", "Infinity", "1e999"])
async def test_what_json_has_no_form_for_gets_into_no_list(image_mock: Service, odd: str) -> None:
    """The real server answers a body that is no JSON with its trouble; the next one is unharmed."""
    whole = json.dumps({"prompt": simple_graph(), "extra_data": {"odd": "ODD"}})
    body = whole.replace('"ODD"', odd).encode()
    reply = await image_mock.http.post("/prompt", content=body, headers=JSON)
    assert (reply.status_code, reply.headers["content-type"]) == (500, "text/plain; charset=utf-8")
    for path in ("/queue", "/history", "/admin/ledger"):
        assert (await image_mock.http.get(path)).status_code == 200


@pytest.mark.parametrize("span", [f"{'9' * 5000}-", f"-{'9' * 5000}", "٣-", "a-", "-", "0-1,2-3"])
async def test_a_range_that_is_none_brings_the_whole_file(image_mock: Service, span: str) -> None:
    job = (await image_mock.post("/img/submit", {"prompt": "a fox"})).json()["job_id"]
    await image_mock.until(f"/img/status/{job}", lambda it: it["status"] == "succeeded")
    headers = {b"Range": f"bytes={span}".encode()}
    reply = await image_mock.http.get(f"/img/files/{job}.png", headers=headers)
    assert (reply.status_code, reply.content[:4]) == (200, b"\x89PNG")
