"""The admin routes: plan, journal, configuration, metrics, health."""

from typing import Any

import pytest

from services.mock_core.faults.presets import PRESETS
from tests.services.mock_core.serving import Service


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
