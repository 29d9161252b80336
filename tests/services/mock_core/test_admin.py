"""The routes under `/admin`, refusals of the plain wires, and bad settings."""

import json
import os
import subprocess
import sys
import tracemalloc
from typing import Any
from urllib.parse import quote

import pytest

from services.mock_core.faults.presets import PRESETS
from services.mock_kling.settings import DEFAULT_API_KEY
from shared.http.mistakes import MOST
from tests.services.mock_comfyui.client import simple_graph
from tests.services.mock_core.serving import Service, kling, receiving, running


async def test_a_bad_plan_is_refused_and_the_old_one_stays(image_mock: Service) -> None:
    await image_mock.arm({"name": "old", "where": "poll", "do": "delay"})
    bad = {"rules": [{"where": "poll", "do": "explode"}, {"where": "poll", "do": "reset"}]}
    for method in ("PUT", "POST"):
        reply = await image_mock.http.request(method, "/admin/faults", json=bad)
        assert reply.status_code == 422
        assert reply.headers["content-type"].startswith("application/problem+json")
        assert [item["field"] for item in reply.json()["errors"]] == ["do"]
    armed = (await image_mock.json("/admin/faults"))["rules"]
    assert [rule["name"] for rule in armed] == ["old"]


async def test_rules_are_added_replaced_and_removed(image_mock: Service) -> None:
    await image_mock.post("/admin/faults", {"where": "poll", "do": "delay"})
    answer = await image_mock.post("/admin/faults", {"preset": "slow-vendor"})
    assert [rule["name"] for rule in answer.json()["rules"]] == ["poll-delay", "slow-vendor"]
    answer = await image_mock.http.delete("/admin/faults?name=poll-delay")
    assert [rule["name"] for rule in answer.json()["rules"]] == ["slow-vendor"]
    assert (await image_mock.http.delete("/admin/faults?name=none")).status_code == 404
    assert (await image_mock.http.delete("/admin/faults")).json()["rules"] == []


@pytest.mark.parametrize(
    ("method", "path", "wrong"),
    [
        ("DELETE", "faults?nmae=old", {"nmae": "There is no such parameter."}),
        ("DELETE", "faults?name=old&name=new", {"name": "It is given more than once."}),
        ("GET", "ledger?externalid=a&limit=1", {"externalid": "There is no such parameter."}),
        ("POST", "reset?all=1&x=2", dict.fromkeys(["all", "x"], "There is no such parameter.")),
    ],
)
async def test_a_parameter_that_there_is_not_is_refused_and_nothing_is_done(
    image_mock: Service, method: str, path: str, *, wrong: dict[str, str]
) -> None:
    await image_mock.arm({"name": "old", "where": "poll", "do": "delay"})
    answer = await image_mock.http.request(method, f"/admin/{path}")
    assert answer.status_code == 422
    assert {each["field"]: each["message"] for each in answer.json()["errors"]} == wrong
    assert len((await image_mock.json("/admin/faults"))["rules"]) == 1


@pytest.mark.parametrize("number", ["1_0", "+1", " 1", "1.0", "\u0661"])
@pytest.mark.parametrize("path", ["ledger?limit=", "trace?after=", "journal?status="])
async def test_a_whole_number_is_digits(image_mock: Service, path: str, number: str) -> None:
    assert (await image_mock.http.get(f"/admin/{path}1")).status_code == 200
    answer = await image_mock.http.get(f"/admin/{path}{quote(number)}")
    assert answer.status_code == 422
    assert "It must be a whole number." in answer.json()["detail"]


async def test_hits_are_counted_and_presets_listed(image_mock: Service) -> None:
    await image_mock.arm({"where": "submit", "do": "refuse"})
    for _ in range(3):
        await image_mock.post("/img/submit", {"prompt": "cat"})
    answer = await image_mock.json("/admin/faults")
    assert answer["rules"][0]["fired"] == 3
    assert {preset["name"] for preset in answer["presets"]} == set(PRESETS)
    trace = await image_mock.json("/admin/trace?after=1&limit=1")
    assert (trace["recorded"], [row["seq"] for row in trace["rows"]]) == (3, [3])


async def test_rules_that_are_used_up_or_for_another_are_not_counted_as_armed(
    image_mock: Service,
) -> None:
    once = {"where": "submit", "do": "refuse", "until": {"count": 1}}
    await image_mock.arm(
        once, {"where": "poll", "do": "delay"}, {"where": "callback", "do": "lose"}
    )
    assert (await image_mock.json("/admin/stats"))["rules_armed"] == 2
    await image_mock.post("/img/submit", {"prompt": "cat"})
    assert (await image_mock.json("/admin/stats"))["rules_armed"] == 1


async def test_the_journal_is_searched_newest_first(image_mock: Service) -> None:
    await image_mock.http.get("/img/status/a")
    await image_mock.http.get("/img/result/b")
    rows = await image_mock.json("/admin/journal?path=/img/")
    assert [row["path"] for row in rows] == ["/img/result/b", "/img/status/a"]
    found = await image_mock.json("/admin/journal?path=status&method=GET&status=404&limit=1")
    assert [row["path"] for row in found] == ["/img/status/a"]
    assert await image_mock.json("/admin/journal?status=500") == []


async def test_a_change_that_does_not_fit_is_refused_whole(video_mock: Service) -> None:
    before = await video_mock.json("/admin/config")
    changes = {"places": 3, "speed": 0, "callbacks": {"form": "round"}, "colour": "red"}
    reply = await video_mock.http.put("/admin/config", json=changes)
    assert reply.status_code == 422
    fields = {item["field"] for item in reply.json()["errors"]}
    assert fields == {"speed", "callbacks.form", "colour"}
    assert await video_mock.json("/admin/config") == before


async def test_a_change_of_one_member_leaves_the_others(video_mock: Service) -> None:
    await video_mock.http.put("/admin/config", json={"callbacks": {"heed": False}})
    reply = await video_mock.http.put("/admin/config", json={"callbacks": {"form": "envelope"}})
    assert (reply.json()["callbacks"]["heed"], reply.json()["seconds"]) == (False, "70")


@pytest.mark.parametrize("seconds", ["uniform:10,20", 5, "lognormal:30,0.2"])
async def test_the_length_of_a_generation_can_be_drawn(image_mock: Service, seconds: Any) -> None:
    reply = await image_mock.http.put("/admin/config", json={"seconds": seconds})
    assert reply.json()["seconds"] == str(seconds)
    await image_mock.post("/img/submit", {"prompt": "cat", "client_id": "a.1"})
    await image_mock.quiet()
    assert (await image_mock.row("a.1"))["outcome"] == "succeeded"


async def test_health_and_metrics(video_mock: Service) -> None:
    await video_mock.arm({"where": "submit", "do": "refuse", "with": {"code": 5000}})
    await video_mock.post("/video/submit", {"image_url": "http://x/y"})
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
        assert (await video_mock.http.get(path)).status_code == 200
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await video_mock.http.head(path)).status_code == 200
    metrics = (await video_mock.http.get("/metrics")).text
    assert 'mock_faults_total{do="refuse",where="submit"} 1.0' in metrics
    assert 'mock_requests_total{method="POST",status="500"} 1.0' in metrics


async def test_times_in_the_ledger_are_utc_with_microseconds(image_mock: Service) -> None:
    await image_mock.post("/img/submit", {"prompt": "cat", "client_id": "a.1"})
    await image_mock.quiet()
    row = await image_mock.row("a.1")
    times = [row[name] for name in ("accepted_at", "started_at", "finished_at")]
    assert times == sorted(times)
    assert all(len(time) == len("2026-01-01T00:00:00.000000Z") for time in times)


JSON = {"Content-Type": "application/json"}
SURROGATE = "It contains half of a surrogate pair."


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
        ({"image_url": "ftp://x/y"}, [("image_url", r"It must be of the form ^https?://[^\s/]+.")]),
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
    """Each mistake of each output is compared only with the others that are shown."""
    node = {"class_type": "SaveImage", "inputs": {}}
    outputs = json.dumps({str(number): node for number in range(12_000)}).encode()
    for graph, status in ((KEYS, 422), (b'{"1":' + ITEMS + b"}", 422), (outputs, 400)):
        tracemalloc.start()
        body = b'{"prompt":' + graph + b"}"
        reply = await image_mock.http.post("/prompt", content=body, headers=JSON)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (reply.status_code, len(reply.content) < 100_000) == (status, True)
        assert peak < 100_000_000


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


@pytest.mark.parametrize(
    ("module", "port"), [("mock_comfyui", "COMFYUI_PORT"), ("mock_kling", "KLING_PORT")]
)
def test_every_bad_setting_is_named_in_one_line(module: str, port: str) -> None:
    bad = {port: "99999", "MOCK_SPEED": "0", "MOCK_SEED": "x"}
    found = subprocess.run(
        [sys.executable, "-m", f"services.{module}"],
        env={**os.environ, **bad},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 2
    (line,) = found.stderr.splitlines()
    assert all(name in line for name in bad)


async def test_a_run_that_ends_during_a_reset_announces_nothing(picture_url: str) -> None:
    late = {"where": "callback", "do": "delay", "match": {"status": "processing"}}
    # Slow enough that nothing ends before the clock is turned up.
    async with receiving() as receiver, running(kling(mock_speed=5)) as video:
        await video.arm({"where": "start", "do": "fail"}, late)
        for name in ("a.video.1", "b.video.1", "c.video.1"):
            order = {"image_url": picture_url, "external_task_id": name}
            await video.post("/video/submit", {**order, "callback_url": receiver.url})
        await video.until("/video/status/c.video.1", lambda it: it["status"] == "processing")
        mock = video.app.state.mock
        mock.clock.set_speed(1_000_000)
        await mock.reset()
        assert mock.sender.pending == 0
