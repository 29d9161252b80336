"""The API over a bucket: results in ranges or by address, records, and the store away."""

from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import timedelta

import pytest
from temporalio.client import Client

from services.api.service import Service
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Record
from shared.jobs.states import Step
from shared.store.records import Records
from tests.fixtures.object_store import given_for
from tests.fixtures.processes import free_port
from tests.services.api.conftest import Api, NewApi, ended
from tests.shared.standins import CREATED, client_of_nobody, sample_record

BYTES = bytes(range(256)) * 4


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polls and sweeps happen when the test says so."""
    monkeypatch.setattr(Service, "running", lambda _: nullcontext())


@pytest.fixture
async def shared_api(new_api: NewApi, moto: str, by_hand: None) -> AsyncIterator[Api]:
    """An API over a prefix of its own; Temporal is away."""
    given = given_for(moto, prefix=new_job_id())
    async with new_api(await client_of_nobody(free_port()), **given) as made:
        yield made


def keep(api: Api, job_id: str, body: bytes, step: Step = Step.IMAGE) -> None:
    file = api.data_dir / "part"
    file.write_bytes(body)
    api.service.assets.keep(file, job_id, step, digest="a" * 64)


def write(api: Api, record: Record) -> Record:
    assert Records(api.service.assets.store).write(record)
    return record


async def test_a_result_is_had_whole_and_in_ranges(
    shared_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.api.http.parts.streamed.PIECE", 100)
    job_id = new_job_id()
    keep(shared_api, job_id, BYTES)
    path = f"/jobs/{job_id}/image"

    whole, head = await shared_api.http.get(path), await shared_api.http.head(path)
    assert (whole.status_code, whole.content) == (200, BYTES)
    assert whole.headers["content-type"] == "image/png"
    assert (head.content, head.headers["content-length"]) == (b"", str(len(BYTES)))

    for wanted, first, last in (("0-9", 0, 9), ("1000-", 1000, 1023), ("-4", 1020, 1023)):
        part = await shared_api.http.get(path, headers={"Range": f"bytes={wanted}"})
        assert (part.status_code, part.content) == (206, BYTES[first : last + 1])
        assert part.headers["content-range"] == f"bytes {first}-{last}/{len(BYTES)}"
    for wanted, status, code in (
        ("bytes=5000-", 416, "range_not_satisfiable"),
        ("bytes=9-1", 400, "bad_range"),
        ("lines=1-2", 400, "bad_range"),
    ):
        refused = await shared_api.http.get(path, headers={"Range": wanted})
        assert (refused.status_code, refused.json()["code"]) == (status, code)

    tag = {"If-None-Match": whole.headers["etag"]}
    assert (await shared_api.http.get(path, headers=tag)).status_code == 304
    other = {"Range": "bytes=0-9", "If-Range": '"another"'}
    assert (await shared_api.http.get(path, headers=other)).content == BYTES
    several = {"Range": "bytes=0-9,20-29"}
    assert (await shared_api.http.get(path, headers=several)).content == BYTES


async def test_a_result_is_had_by_an_address_of_the_store(
    new_api: NewApi, moto: str, by_hand: None, *, signs_in_a_thread: None
) -> None:
    given = given_for(moto, prefix=new_job_id(), store_links="on")
    async with new_api(await client_of_nobody(free_port()), **given) as api:
        job_id = new_job_id()
        keep(api, job_id, BYTES)
        answer = await api.http.get(f"/jobs/{job_id}/image")
        assert (answer.status_code, answer.content) == (307, b"")
        assert answer.headers["location"].startswith(moto)
        followed = await api.http.get(f"/jobs/{job_id}/image", follow_redirects=True)
        assert followed.content == BYTES
        policy = (await api.http.get("/")).headers["content-security-policy"]
        assert f"img-src 'self' {moto} data:; media-src 'self' {moto};" in policy


async def test_a_job_whose_time_is_over_leaves_nothing_in_the_store(
    new_api: NewApi, client: Client, moto: str, *, by_hand: None
) -> None:
    given = given_for(moto, prefix=new_job_id(), retention_days=1)
    async with new_api(client, **given) as api:
        record = ended(sample_record(new_job_id()))
        old = CREATED - timedelta(days=400)
        write(api, record.model_copy(update={"finished_at": old}))
        keep(api, record.job_id, BYTES)
        await api.service.follower.sweep()
        await api.service.forgetter.forget()
        assert list(api.service.assets.store.list("state/")) == []
        assert list(api.service.assets.store.list("assets/")) == []


async def test_while_the_store_is_away_that_is_what_is_said(new_api: NewApi, by_hand: None) -> None:
    given = given_for("http://127.0.0.1:9")
    async with new_api(await client_of_nobody(free_port()), **given) as api:
        for path in (f"/jobs/{new_job_id()}", f"/jobs/{new_job_id()}/image"):
            answer = await api.http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "store_away")
            assert answer.json()["detail"] == "the store does not answer"
            assert answer.headers["retry-after"] == "1"
        ready = await api.http.get("/readyz")
        assert "store: the store does not answer" in ready.json()["detail"]
