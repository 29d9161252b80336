"""A receipt is replayed by hand: the operator's key, the same judgement, a receipt of its own."""

from typing import Any

import httpx
import pytest
from temporalio.client import Client

from shared.jobs.states import Status
from shared.jobs.tokens import operator_key
from tests.services.callback.conftest import SECRET, Vendor, start_job, told

OPERATOR = operator_key(SECRET)
KEY = {"Authorization": f"Bearer {OPERATOR}"}


async def replay(vendor: Vendor, receipt_id: int, **headers: str) -> httpx.Response:
    return await vendor.http.post(f"/callbacks/{receipt_id}/replay", headers=headers or KEY)


async def replayed(vendor: Vendor, row: dict[str, Any]) -> dict[str, Any]:
    answer = await replay(vendor, row["receipt_id"])
    assert answer.status_code == 200, answer.text
    receipt = answer.json()
    assert isinstance(receipt, dict)
    assert (receipt["replay_of"], receipt["task_id"]) == (row["receipt_id"], row["task_id"])
    assert receipt == (await vendor.receipts())[-1]
    return receipt


@pytest.mark.usefixtures("jobs")
async def test_an_applied_one_is_told_again(vendor: Vendor, client: Client) -> None:
    vendor.record()
    await start_job(client, vendor.job_id)
    await vendor.send("succeed")
    await vendor.send("succeed")
    first, second = await vendor.receipts()

    assert (await replayed(vendor, first))["fate"] == "applied"
    assert (await replayed(vendor, second))["fate"] == "duplicate"
    assert len(await told(client, vendor.job_id)) == 2


@pytest.mark.usefixtures("jobs")
async def test_it_is_judged_by_the_job_as_it_is_now(vendor: Vendor, client: Client) -> None:
    await vendor.send("succeed")
    [unknown] = await vendor.receipts()
    vendor.record()
    await start_job(client, vendor.job_id)
    assert (await replayed(vendor, unknown))["fate"] == "applied"

    vendor.record(status=Status.SUCCEEDED, version=9)
    assert (await replayed(vendor, unknown))["fate"] == "late"
    assert len(await told(client, vendor.job_id)) == 1


@pytest.mark.usefixtures("jobs")
async def test_what_an_end_absorbed_stays_absorbed(vendor: Vendor, client: Client) -> None:
    vendor.record()
    await start_job(client, vendor.job_id)
    await vendor.send("succeed", 20)
    await vendor.send("failed", 30)

    assert (await replayed(vendor, (await vendor.receipts())[1]))["fate"] == "out_of_order"
    assert [each.task_status for each in await told(client, vendor.job_id)] == ["succeed"]


@pytest.mark.usefixtures("jobs")
async def test_another_attempts_is_refused_again(vendor: Vendor, client: Client) -> None:
    vendor.record(tasks={f"{vendor.job_id}.video.2": "task-1"})
    await start_job(client, vendor.job_id)
    assert (await vendor.send("succeed")).status_code == 404
    assert (await replayed(vendor, (await vendor.receipts())[0]))["fate"] == "rejected"
    assert await told(client, vendor.job_id) == []


async def test_with_temporal_away_it_is_kept(offline: Vendor) -> None:
    offline.record()
    await offline.send("processing")
    await offline.send("succeed")
    [receipt] = await offline.receipts()
    answer = await replay(offline, receipt["receipt_id"])
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    "key",
    ["", "Bearer ", f"Bearer {OPERATOR}x", OPERATOR, f"Bearer {SECRET}", "Bearer \xff"],
)
async def test_only_the_operator_may(offline: Vendor, key: str) -> None:
    offline.record()
    await offline.send("processing")
    headers = [(b"Authorization", key.encode("latin-1"))]
    answer = await offline.http.post("/callbacks/1/replay", headers=headers)
    absent = await offline.http.post("/callbacks/7/replay", headers=headers)
    assert answer.status_code == absent.status_code == 401
    assert answer.json() == absent.json()
    assert len(await offline.receipts()) == 1


async def test_what_was_forged_or_is_not_there_can_not_be_replayed(offline: Vendor) -> None:
    offline.record()
    await offline.http.post(offline.address(secret="x" * 20), json=offline.body())
    [forged] = await offline.receipts()
    answer = await replay(offline, forged["receipt_id"])
    assert (answer.status_code, answer.json()["code"]) == (409, "receipt_not_replayable")
    assert (await replay(offline, 7)).status_code == 404
    for wrong in ("0", "-1", str(2**63), "x"):
        assert (
            await offline.http.post(f"/callbacks/{wrong}/replay", headers=KEY)
        ).status_code == 422
