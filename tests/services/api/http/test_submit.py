"""Submitting: known from the 202 on, once per key, and nothing half-made."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from services.api.temporal import Temporal
from shared.errors import TemporalUnavailable
from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.ids import job_id_for_key, new_job_id
from shared.jobs.slots import JOB_GATE
from shared.jobs.states import OnVideoFailure
from shared.semaphore.messages import MEMO, Wait
from shared.temporal.client import CUSTOM_PROGRESS, CUSTOM_TAG
from tests.services.api.conftest import BODY, Api
from tests.shared.standins import sample_record

JSON = {"Content-Type": "application/json"}


async def test_reply_has_the_addresses_and_the_job_exists(api: Api) -> None:
    answer = await api.http.post("/jobs", json=BODY)

    assert answer.status_code == 202
    reply = answer.json()
    job_id = reply["job_id"]
    assert answer.headers["location"] == reply["status_url"]
    assert reply["status_url"].endswith(f"/jobs/{job_id}")
    assert reply["events_url"].endswith(f"/jobs/{job_id}/events")
    assert reply["ws_url"].startswith("ws://")
    job = (await api.http.get(f"/jobs/{job_id}")).json()
    assert (job["status"], job["version"], job["prompt"]) == ("queued", 0, BODY["prompt"])
    assert [each["job_id"] for each in (await api.http.get("/jobs")).json()["jobs"]] == [job_id]
    assert (await api.http.get(f"/jobs/{job_id}/record")).json()["code"] == "job_not_found"


async def test_all_mistakes_of_a_submission_are_reported_at_once(
    offline: httpx.AsyncClient,
) -> None:
    body = {"prompt": "", "zest": 1}
    key = {"Idempotency-Key": "a b"}
    answer = await offline.post("/jobs", json=body, headers=key)
    fields = [each["field"] for each in answer.json()["errors"]]
    assert fields == ["Idempotency-Key", "prompt", "zest"]

    empty = await offline.post("/jobs", headers=key)
    assert [each["field"] for each in empty.json()["errors"]] == ["Idempotency-Key", "body"]
    twice = [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]
    doubled = await offline.post("/jobs", json={"prompt": "x"}, headers=twice)
    assert [each["field"] for each in doubled.json()["errors"]] == ["Idempotency-Key"]
    unknown = await offline.post("/jobs?tga=t", json=body)
    assert [each["field"] for each in unknown.json()["errors"]] == ["tga"]
    assert (await offline.post("/jobs?tga=t", content=b"{", headers=JSON)).status_code == 422


async def test_creation_time_equals_that_of_the_record(api: Api, client: Client) -> None:
    job_id = await api.submit()

    history = await client.get_workflow_handle(job_id).fetch_history()
    job = (await api.http.get(f"/jobs/{job_id}")).json()
    [listed] = (await api.http.get("/jobs")).json()["jobs"]

    begun = history.events[0].event_time.ToDatetime(UTC)
    assert datetime.fromisoformat(job["created_at"]) == begun
    assert listed["created_at"] == job["created_at"]


async def test_started_job_is_known_without_the_servers_start_time(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: object) -> None:
        raise TemporalUnavailable("away")

    monkeypatch.setattr(Temporal, "describe", silent)
    before = datetime.now(UTC)
    job_id = await api.submit()

    job = (await api.http.get(f"/jobs/{job_id}")).json()
    assert before <= datetime.fromisoformat(job["created_at"]) <= datetime.now(UTC)


async def test_workflow_carries_input_and_search_attributes(api: Api, client: Client) -> None:
    prompt = "很" * 2500
    job_id = await api.submit(prompt=prompt, tag="批次", priority=1, on_video_failure="image")

    found = await client.get_workflow_handle(job_id).describe()

    assert found.typed_search_attributes.get(CUSTOM_PROGRESS) == 0
    assert found.typed_search_attributes.get(CUSTOM_TAG) == "批次"
    memo = await found.memo_value("input", type_hint=GenVideoInput)
    assert memo == GenVideoInput(
        prompt=prompt,
        style="ink",
        tag="批次",
        priority=1,
        on_video_failure=OnVideoFailure.IMAGE,
    )
    assert (await found.static_summary() or "").startswith("很很")
    # Of all that a semaphore without a memory knows: whose turn it is.
    mark = await found.memo_value(f"{MEMO}{JOB_GATE}", type_hint=Wait)
    assert mark == Wait(priority=1, clean_up=GENVIDEO.clean_up)


async def test_key_stands_for_one_job(api: Api) -> None:
    first = await api.submit("order-1")

    assert await api.submit("order-1") == first
    assert await api.submit("order-2") != first
    answer = await api.http.post(
        "/jobs", json={**BODY, "style": "oil"}, headers={"Idempotency-Key": "order-1"}
    )
    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency_conflict"


async def test_key_outlives_temporals_memory(api: Api, client: Client) -> None:
    """Once there is a record, it answers; Temporal forgets closed runs."""
    job_id = job_id_for_key("order-1")
    api.write(sample_record(job_id, GenVideoInput.model_validate(BODY)))

    assert await api.submit("order-1") == job_id
    with pytest.raises(RPCError, match="not found"):
        await client.get_workflow_handle(job_id).describe()
    answer = await api.http.post(
        "/jobs", json={**BODY, "priority": 5}, headers={"Idempotency-Key": "order-1"}
    )
    assert answer.json()["code"] == "idempotency_conflict"


async def test_key_is_short_and_printable(offline: httpx.AsyncClient) -> None:
    for key in (b"", b"a b", b"x" * 201, "ключ".encode()):
        answer = await offline.post("/jobs", json=BODY, headers={b"Idempotency-Key": key})
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key"]


WRONG: list[dict[str, Any]] = [
    {"prompt": ""},
    {"prompt": "x" * 2501},
    {"prompt": "a\0b"},
    {"prompt": "\ud800"},
    {"prompt": None},
    {"style": 7},
    {"style": "a\nb"},
    {"tag": ""},
    {"tag": "🦊" * 171},
    {"priority": 0},
    {"priority": "3"},
    {"priority": 10**40},
    {"on_video_failure": "explode"},
    {"promtp": "typo"},
]


async def test_bad_input_names_its_field(offline: httpx.AsyncClient) -> None:
    nothing_to_see = [{"prompt": prompt} for prompt in NOTHING_TO_SEE]
    for change in (*WRONG, *nothing_to_see):
        raw = json.dumps({**BODY, **change}).encode()
        answer = await offline.post("/jobs", content=raw, headers=JSON)
        assert answer.status_code == 422, change
        assert answer.headers["content-type"] == "application/problem+json"
        [mistake] = answer.json()["errors"]
        assert mistake["field"] in change
        assert "^" not in mistake["message"]
    assert (await offline.get("/jobs")).json()["jobs"] == []


NOTHING_TO_SEE = [
    " ", "\n\t", "\u00a0\u3000", "\u200b\u200d\ufeff", "\u2060\u00ad", "\x07\x1b\x7f\x9f",
    "\u2028\u2029", "\u0301\ufe0f", "\u3164\u115f\u1160\uffa0", "\u2800", "\U000e0041",
]  # fmt: skip


async def test_prompt_of_one_visible_character_is_taken_unchanged(api: Api) -> None:
    for prompt in ("🦊", "٣", "。", "a\u200b", "ก็", "\ue000", "\t x\n"):
        job_id = await api.submit(prompt=prompt)
        assert (await api.http.get(f"/jobs/{job_id}")).json()["prompt"] == prompt


async def test_missing_style_is_empty(api: Api) -> None:
    answers = [
        await api.http.post("/jobs", json=body, headers={"Idempotency-Key": "order-1"})
        for body in ({"prompt": "a fox"}, {"prompt": "a fox", "style": ""})
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    job_id = answers[0].json()["job_id"]
    assert (await api.http.get(f"/jobs/{job_id}")).json()["style"] == ""


async def test_body_over_a_megabyte_is_refused(api: Api) -> None:
    answer = await api.http.post("/jobs", content=b" " * (1024 * 1024 + 1), headers=JSON)
    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"


async def test_without_temporal_nothing_is_half_made(lonely: Api) -> None:
    answer = await lonely.http.post("/jobs", json=BODY)

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["code"] == "temporal_unavailable"
    listed = (await lonely.http.get("/jobs")).json()
    assert (listed["jobs"], listed["next_cursor"]) == ([], None)
    assert (await lonely.http.get("/readyz")).status_code == 503
    assert (await lonely.http.get(f"/jobs/{new_job_id()}")).status_code == 503
