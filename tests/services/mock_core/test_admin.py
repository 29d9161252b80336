"""The routes under `/admin`, and what every route of a mock refuses."""

import json
from typing import Any

import pytest

from services.mock_core.faults.presets import PRESETS
from tests.services.mock_core.serving import Service, kling, receiving, running

JSON = {"Content-Type": "application/json"}
OLD = {"name": "old", "where": "poll", "do": "delay"}


async def test_rules_are_added_replaced_and_removed(image_mock: Service) -> None:
    await image_mock.post("/admin/faults", {"where": "poll", "do": "delay"})
    answer = await image_mock.post("/admin/faults", {"preset": "slow-vendor"})
    assert [rule["name"] for rule in answer.json()["rules"]] == ["poll-delay", "slow-vendor"]
    assert answer.json()["added"] == ["slow-vendor"]
    answer = await image_mock.http.delete("/admin/faults?name=poll-delay")
    assert [rule["name"] for rule in answer.json()["rules"]] == ["slow-vendor"]
    assert (await image_mock.http.delete("/admin/faults?name=none")).status_code == 404
    assert (await image_mock.http.delete("/admin/faults")).json()["rules"] == []


async def test_unknown_parameter_is_refused_without_effect(image_mock: Service) -> None:
    await image_mock.arm(OLD)
    unknown = "There is no such parameter."
    for method, path, wrong in (
        ("DELETE", "faults?nmae=old", {"nmae": unknown}),
        ("DELETE", "faults?name=old&name=new", {"name": "It is given more than once."}),
        ("GET", "ledger?externalid=a&limit=1", {"externalid": unknown}),
        ("POST", "reset?all=1&x=2", {"all": unknown, "x": unknown}),
    ):
        answer = await image_mock.http.request(method, f"/admin/{path}")
        assert answer.status_code == 422
        assert {each["field"]: each["message"] for each in answer.json()["errors"]} == wrong
    for query in ("ledger?limit=x", "journal?status=1.0"):
        assert (await image_mock.http.get(f"/admin/{query}")).status_code == 422
    assert len((await image_mock.json("/admin/faults"))["rules"]) == 1


async def test_hits_are_counted_and_presets_listed(image_mock: Service) -> None:
    await image_mock.arm({"where": "submit", "do": "refuse"})
    for _ in range(3):
        await image_mock.post("/img/submit", {"prompt": "cat"})
    answer = await image_mock.json("/admin/faults")
    assert answer["rules"][0]["fired"] == 3
    assert {preset["name"] for preset in answer["presets"]} == set(PRESETS)
    trace = await image_mock.json("/admin/trace")
    assert (trace["recorded"], [row["seq"] for row in trace["rows"]]) == (3, [1, 2, 3])


async def test_used_up_or_foreign_rules_do_not_count_as_armed(
    image_mock: Service,
) -> None:
    once = {"where": "submit", "do": "refuse", "until": {"count": 1}}
    await image_mock.arm(once, OLD, {"where": "callback", "do": "lose"})
    armed = await image_mock.json("/admin/stats")
    assert armed["rules_armed"] == 2
    await image_mock.post("/img/submit", {"prompt": "cat"})
    spent = await image_mock.json("/admin/stats")
    assert spent["rules_armed"] == 1
    assert spent["plan_version"] == armed["plan_version"]


async def test_journal_is_searched_newest_first(image_mock: Service) -> None:
    await image_mock.http.get("/img/status/a")
    await image_mock.http.get("/img/result/b")
    rows = await image_mock.json("/admin/journal?path=/img/")
    assert [row["path"] for row in rows] == ["/img/result/b", "/img/status/a"]
    await image_mock.post("/img/status/a", None)
    found = await image_mock.json("/admin/journal?path=status&method=GET&limit=1")
    assert [(row["path"], row["status"]) for row in found] == [("/img/status/a", 404)]
    assert await image_mock.json("/admin/journal?status=500") == []


async def test_change_of_one_member_keeps_the_others(image_mock: Service) -> None:
    await image_mock.configure(native={"sockets": "stolen"})
    await image_mock.configure(native={"format": "webp"})
    found = await image_mock.json("/admin/config")
    assert (found["native"]["sockets"], found["native"]["format"]) == ("stolen", "webp")
    assert found["seconds"] == "30"


@pytest.mark.parametrize("seconds", ["uniform:10,20", 5])
async def test_duration_of_a_generation_can_be_random(image_mock: Service, seconds: Any) -> None:
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
    for path in ("/healthz", "/readyz"):
        assert (await video_mock.http.head(path)).status_code == 200
    metrics = (await video_mock.http.get("/metrics")).text
    assert 'mock_faults_total{do="refuse",where="submit"} 1.0' in metrics
    assert 'mock_requests_total{method="POST",status="500"} 1.0' in metrics
    assert "\nprocess_cpu_seconds_total " in metrics


async def test_times_in_the_ledger_are_utc_with_microseconds(image_mock: Service) -> None:
    await image_mock.post("/img/submit", {"prompt": "cat", "client_id": "a.1"})
    await image_mock.quiet()
    row = await image_mock.row("a.1")
    assert row["reported_at"] is None
    await image_mock.http.get(f"/img/status/{row['job_id']}")
    row = await image_mock.row("a.1")
    names = ("accepted_at", "started_at", "finished_at", "reported_at")
    times = [row[name] for name in names]
    assert times == sorted(times)
    assert all(len(time) == len("2026-01-01T00:00:00.000000Z") for time in times)


SUBMIT, FAULTS, CONFIG = "POST /video/submit", "PUT /admin/faults", "PUT /admin/config"
POLL, REFUSE = {"where": "poll", "do": "hang"}, {"where": "submit", "do": "refuse"}
ORDER, COUNTED = ["prompt", "duration"], ["match.nth", "often.first"]
CONFIGURED = ["speed", "duplicates", "colour"]


@pytest.mark.parametrize(
    ("call", "body", "fields"),
    [
        (SUBMIT, {}, ["image_url"]),
        (SUBMIT, {"image_url": "ftp://x/y"}, ["image_url"]),
        (SUBMIT, {"image_url": "http://a/b", "duration": 5, "prompt": "x" * 2501}, ORDER),
        (SUBMIT, {"image_url": "http://a/b", "prompt": "\ud800"}, ["prompt"]),
        (SUBMIT, b"{", ["body"]),
        (SUBMIT, b"", ["body"]),
        (SUBMIT, b"\xff", ["body"]),
        (FAULTS, {"rules": [POLL, {"do": 3}]}, ["where", "do"]),
        (FAULTS, {"rules": [{"where": "moon", "do": "explode"}]}, ["where", "do"]),
        (FAULTS, {**REFUSE, "match": {"nth": "x"}, "often": {"first": 0}}, COUNTED),
        (FAULTS, {"rules": [3]}, [""]),
        (FAULTS, {"rules": [], "\ud800": 1}, ["body"]),
        (FAULTS, {**REFUSE, "with": {"message": "\ud800"}}, ["body"]),
        (FAULTS, {**REFUSE, "until": {"seconds": float("inf")}}, ["body"]),
        (CONFIG, {"speed": 0, "duplicates": "keep", "colour": "red"}, CONFIGURED),
        (CONFIG, {"speed": True}, ["speed"]),
        (CONFIG, {"seconds": "x"}, ["seconds"]),
    ],
)
async def test_wrong_body_is_refused_whole_with_every_mistake(
    video_mock: Service, call: str, body: Any, fields: list[str]
) -> None:
    await video_mock.arm(OLD)
    before = [await video_mock.json(f"/admin/{part}") for part in ("faults", "config", "ledger")]
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = await video_mock.http.request(*call.split(), content=raw, headers=JSON)
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert [each["field"] for each in problem["errors"]] == fields
    for each in problem["errors"]:
        assert f"{each['field']}: {each['message']}".removeprefix(": ") in problem["detail"]
    assert ": : " not in problem["detail"]
    assert "Value error" not in problem["detail"]
    after = [await video_mock.json(f"/admin/{part}") for part in ("faults", "config", "ledger")]
    assert after == before


async def test_run_that_ends_during_a_reset_sends_nothing(picture_url: str) -> None:
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
