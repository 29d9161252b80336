"""Each fate over real HTTP, with what the job hears of it and what stays on disk."""

from dataclasses import replace

import pytest
from temporalio.client import Client

from shared.jobs.ids import new_job_id
from shared.jobs.messages import Attempts
from shared.jobs.states import Status
from tests.services.callback.conftest import Vendor, start_job, told

pytestmark = pytest.mark.usefixtures("jobs")


@pytest.fixture
async def waiting(vendor: Vendor, client: Client) -> Vendor:
    vendor.record()
    await start_job(client, vendor.job_id)
    return vendor


async def test_end_is_applied_once_then_a_duplicate(waiting: Vendor, client: Client) -> None:
    assert await waiting.fate("succeed") == "applied"
    assert await waiting.fate("succeed") == "duplicate"

    heard = await told(client, waiting.job_id)
    assert [(each.task_id, each.task_status) for each in heard] == [("task-1", "succeed")]
    assert [row["fate"] for row in await waiting.receipts()] == ["applied", "duplicate"]


async def test_envelope_is_opened(waiting: Vendor, client: Client) -> None:
    inner = waiting.body("failed", task_status_msg="内容不合规")
    body = {"code": 0, "message": "SUCCEED", "request_id": "r", "data": inner}

    answer = await waiting.http.post(waiting.address(), json=body)

    assert answer.json() == {"fate": "applied"}
    assert (await told(client, waiting.job_id))[0].message == "内容不合规"


async def test_intermediate_state_makes_a_receipt_and_no_signal(
    waiting: Vendor, client: Client
) -> None:
    assert await waiting.fate("submitted", 1) == "applied"
    assert await waiting.fate("processing", 2) == "applied"

    assert await told(client, waiting.job_id) == []
    rows = await waiting.receipts()
    assert [row["task_status"] for row in rows] == ["submitted", "processing"]
    assert set(rows[0]) >= {"received_at", "job_id", "task_id", "task_status", "fate"}


async def test_callback_before_the_submits_reply_is_early_and_signalled(
    vendor: Vendor, client: Client
) -> None:
    vendor.record(tasks={})
    await start_job(client, vendor.job_id)

    assert await vendor.fate("succeed") == "early"
    assert len(await told(client, vendor.job_id)) == 1


async def test_older_news_and_news_after_an_end_are_out_of_order(
    waiting: Vendor, client: Client
) -> None:
    assert await waiting.fate("processing", 20) == "applied"
    assert await waiting.fate("submitted", 10) == "out_of_order"
    assert await waiting.fate("succeed", 30) == "applied"
    assert await waiting.fate("failed", 40) == "out_of_order"
    assert [each.task_status for each in await told(client, waiting.job_id)] == ["succeed"]


async def test_callback_of_an_ended_job_or_earlier_attempt_is_late(
    vendor: Vendor, client: Client
) -> None:
    vendor.record(attempts=Attempts(image=1, video=2))
    await start_job(client, vendor.job_id)
    assert await vendor.fate("failed") == "late"

    vendor.record(status=Status.SUCCEEDED, version=9)
    assert await vendor.fate("succeed", 2000) == "late"
    assert await told(client, vendor.job_id) == []


async def test_callback_of_a_closed_workflow_is_late_even_if_the_record_lags(
    vendor: Vendor, client: Client
) -> None:
    vendor.record()
    await start_job(client, vendor.job_id, "end")
    await client.get_workflow_handle(vendor.job_id).result()

    assert await vendor.fate("succeed") == "late"


async def test_record_of_another_job_does_not_count(vendor: Vendor, client: Client) -> None:
    """Its file lies where this job's does, as after a restore that went wrong."""
    vendor.record(status=Status.SUCCEEDED)
    elsewhere = replace(vendor, job_id=new_job_id())
    folder = vendor.data_dir / "state" / "jobs"
    (folder / f"{vendor.job_id}.json").rename(folder / f"{elsewhere.job_id}.json")
    await start_job(client, elsewhere.job_id)

    assert await elsewhere.fate("succeed") == "early"


@pytest.mark.parametrize("status", ["processing", "succeed"])
async def test_callback_of_an_unknown_job_is_unknown(vendor: Vendor, status: str) -> None:
    answer = await vendor.send(status)

    assert answer.status_code == 404
    assert [row["fate"] for row in await vendor.receipts()] == ["unknown"]


async def test_unknown_task_is_not_signalled(vendor: Vendor, client: Client) -> None:
    vendor.record(tasks={f"{vendor.job_id}.video.1": "another"})
    await start_job(client, vendor.job_id)

    assert (await vendor.send("succeed")).status_code == 404
    assert [row["fate"] for row in await vendor.receipts()] == ["unknown"]
    assert await told(client, vendor.job_id) == []


async def test_token_is_valid_only_for_its_task(vendor: Vendor, client: Client) -> None:
    """Neither another job's task is named, nor another attempt's, nor nobody's."""
    vendor.record(tasks={f"{vendor.job_id}.video.{n}": f"task-{n}" for n in (1, 2)})
    await start_job(client, vendor.job_id)
    other = Vendor(vendor.http, new_job_id(), vendor.data_dir)
    other.record()
    for name in (f"{other.job_id}.video.1", f"{vendor.job_id}.video.2", "nobody's"):
        answer = await vendor.send(task_info={"external_task_id": name})
        assert answer.status_code == 404
    assert (await vendor.send(task_id="task-2")).status_code == 404
    assert [row["fate"] for row in await vendor.receipts()] == ["rejected"] * 4
    assert await told(client, vendor.job_id) == []
