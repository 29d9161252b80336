"""The contract's image wire over real HTTP."""

import asyncio
import io

import httpx
import pytest
from PIL import Image

from services.mock_core.clock import DelaySpec
from tests.services.mock_core.serving import Service, comfyui, running


async def _submit(service: Service, external_id: str = "job-1.image.1", **body: str) -> str:
    reply = await service.post("/img/submit", {"prompt": "a cat", "client_id": external_id, **body})
    assert reply.status_code == 202
    return str(reply.json()["job_id"])


async def _finish(service: Service, job_id: str) -> None:
    await service.until(f"/img/status/{job_id}", lambda it: it["status"] == "succeeded")


async def test_submit_becomes_a_picture_that_carries_its_prompt(image_mock: Service) -> None:
    job_id = await _submit(image_mock, prompt="一只猫", style="ink")
    await _finish(image_mock, job_id)
    result = await image_mock.json(f"/img/result/{job_id}")
    reply = await image_mock.http.get(result["asset_url"])
    assert (result["job_id"], result["external_id"]) == (job_id, "job-1.image.1")
    assert reply.headers["content-type"] == "image/png"
    picture = Image.open(io.BytesIO(reply.content))
    picture.load()
    assert picture.info["prompt"] == "一只猫"


async def test_asset_url_is_built_from_the_host_header(image_mock: Service) -> None:
    job_id = await _submit(image_mock)
    await _finish(image_mock, job_id)
    reply = await image_mock.http.get(f"/img/result/{job_id}", headers={"Host": "localhost:6889"})
    assert reply.json()["asset_url"].startswith("http://localhost:6889/")


async def test_status_is_found_by_either_id_and_percent_rises() -> None:
    async with running(comfyui(mock_image_seconds=DelaySpec(4000))) as service:
        job_id = await _submit(service, "mine/1")
        told: list[int] = []
        while (body := await service.json("/img/status/mine%2F1"))["status"] != "succeeded":
            told.append(body["percent"])
            if len(set(told)) > 2:
                await service.hurry()
        assert (await service.json("/img/result/mine%2F1"))["job_id"] == job_id
    ids = {"job_id": job_id, "external_id": "mine/1"}
    assert body == {**ids, "status": "succeeded", "percent": 100}
    assert told == sorted(told)
    assert len(set(told)) > 2


async def test_unknown_and_unfinished_jobs_are_problems(image_mock: Service) -> None:
    status, server = "/img/status/nobody", {"target": b"*"}
    for unknown in (
        await image_mock.http.get(status),
        await image_mock.http.request("OPTIONS", "/", extensions=server),
    ):
        assert unknown.status_code == 404
        assert unknown.headers["content-type"].startswith("application/problem+json")
    assert {"type", "title", "status", "detail", "code"} <= unknown.json().keys()
    await image_mock.arm({"where": "start", "do": "never-start"})
    job_id = await _submit(image_mock)
    assert (await image_mock.http.get(f"/img/result/{job_id}")).status_code == 409


async def test_wrong_body_names_the_field(image_mock: Service) -> None:
    for body in ({}, {"prompt": ""}, {"prompt": "x" * 2501}):
        reply = await image_mock.post("/img/submit", body)
        assert reply.status_code == 422
        assert [item["field"] for item in reply.json()["errors"]] == ["prompt"]
    assert (await image_mock.json("/admin/stats"))["accepted"] == 0


async def test_same_id_twice_runs_twice_and_is_in_the_ledger(image_mock: Service) -> None:
    first, second = [await _submit(image_mock, "same.1") for _ in range(2)]
    assert first != second
    await image_mock.quiet()
    rows = await image_mock.json("/admin/ledger?external_id=same.1")
    assert [row["duplicate"] for row in rows] == [False, True]
    assert (await image_mock.json("/admin/stats"))["duplicates"] == 1
    verdict = await image_mock.json("/admin/verdict")
    assert (verdict["ok"], verdict["charged_twice"]) == (False, ["same.1"])


async def test_cancelled_job_fails_and_is_not_charged(image_mock: Service) -> None:
    await image_mock.arm({"where": "start", "do": "stick"})
    job_id = await _submit(image_mock, "mine.1")
    assert (await image_mock.post("/api/jobs/mine.1/cancel", None)).json() == {"cancelled": True}
    body = await image_mock.json(f"/img/status/{job_id}")
    assert (body["status"], body["error"]) == ("failed", "cancelled")
    assert (await image_mock.post(f"/api/jobs/{job_id}/cancel", None)).json() == {
        "cancelled": False
    }
    row = await image_mock.row("mine.1")
    assert (row["outcome"], row["charged"]) == ("cancelled", False)
    assert (await image_mock.json("/admin/stats"))["in_flight"] == 0


async def test_file_is_served_in_ranges(image_mock: Service) -> None:
    job_id = await _submit(image_mock)
    await _finish(image_mock, job_id)
    url = (await image_mock.json(f"/img/result/{job_id}"))["asset_url"]
    whole = (await image_mock.http.get(url)).content
    part = await image_mock.http.get(url, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, whole[2:6])
    assert part.headers["content-range"] == f"bytes 2-5/{len(whole)}"
    tail = await image_mock.http.get(url, headers={"Range": "bytes=-4"})
    assert tail.content == whole[-4:]
    outside = await image_mock.http.get(url, headers={"Range": f"bytes={len(whole)}-"})
    assert outside.status_code == 416
    nines = "9" * 5000
    for span in (f"{nines}-", f"-{nines}", "٣-", "a-", "-", "0-1,2-3"):
        reply = await image_mock.http.get(url, headers={b"Range": f"bytes={span}".encode()})
        assert (reply.status_code, reply.content) == (200, whole)


async def test_most_in_flight_is_exact(image_mock: Service) -> None:
    await image_mock.arm({"where": "start", "do": "stick"})
    ids = await asyncio.gather(*(_submit(image_mock, f"job-{n}.1") for n in range(7)))
    for job_id in ids:
        await image_mock.post(f"/api/jobs/{job_id}/cancel", None)
    await _submit(image_mock, "after.1")
    stats = await image_mock.json("/admin/stats")
    assert (stats["max_in_flight"], stats["in_flight"], stats["accepted"]) == (7, 1, 8)


async def test_token_of_the_caller_is_in_the_ledger(image_mock: Service) -> None:
    await image_mock.post(
        "/img/submit", {"prompt": "x", "client_id": "a.1"}, **{"X-Slot-Token": "41"}
    )
    await image_mock.post("/img/submit", {"prompt": "x", "client_id": "b.1"})
    assert (await image_mock.row("a.1"))["token"] == 41
    assert (await image_mock.row("b.1"))["token"] is None


async def test_reset_connection_is_a_reset_for_the_caller(image_mock: Service) -> None:
    await image_mock.arm({"where": "submit", "do": "reset"})
    with pytest.raises(httpx.ReadError):
        await _submit(image_mock)
    assert (await image_mock.json("/admin/stats"))["accepted"] == 0
