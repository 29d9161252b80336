"""The stored results of a job, of a folder and of a bucket; the page's own files, and no others."""

from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import timedelta

import pytest
from temporalio.client import Client

from services.api.service import Service
from shared.jobs.genvideo import IMAGE
from shared.jobs.ids import new_job_id
from shared.store.records import Records
from tests.fixtures.object_store import given_for
from tests.services.api.conftest import Api, NewApi, ended
from tests.shared.standins import CREATED, sample_record

BYTES = bytes(range(256)) * 4


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polls and sweeps happen when the test says so."""
    monkeypatch.setattr(Service, "running", lambda _: nullcontext())


@pytest.fixture(params=["folder", "bucket"])
async def kept(
    request: pytest.FixtureRequest, new_lonely: NewApi, by_hand: None
) -> AsyncIterator[Api]:
    """An API whose Temporal is away, over a folder or a prefix of its own."""
    bucket = request.param == "bucket"
    moto = request.getfixturevalue("moto") if bucket else ""
    async with new_lonely(**given_for(moto, prefix=new_job_id()) if bucket else {}) as made:
        yield made


def keep(api: Api, job_id: str, body: bytes = BYTES) -> str:
    file = api.data_dir / "part"
    file.write_bytes(body)
    api.service.assets.keep(file, job_id, IMAGE, digest="a" * 64)
    return f"/jobs/{job_id}/image"


async def test_result_is_served_whole_and_in_ranges(
    kept: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.http.ranges.PIECE", 100)
    http, path = kept.http, keep(kept, new_job_id())
    whole, head = await http.get(path), await http.head(path)
    assert (whole.status_code, whole.content) == (200, BYTES)
    assert whole.headers["content-type"] == "image/png"
    assert whole.headers["accept-ranges"] == "bytes"
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(BYTES))

    for wanted, first, last in (("0-9", 0, 9), ("1000-", 1000, 1023), ("-4", 1020, 1023)):
        part = await http.get(path, headers={"Range": f"bytes={wanted}"})
        assert (part.status_code, part.content) == (206, BYTES[first : last + 1])
        assert part.headers["content-range"] == f"bytes {first}-{last}/{len(BYTES)}"
    for wanted in ("bytes=5000-", "bytes=-0", f"Bytes={10**25}-"):
        refused = await http.get(path, headers={"Range": wanted})
        assert (refused.status_code, refused.json()["code"]) == (416, "range_not_satisfiable")
        assert refused.headers["content-type"] == "application/problem+json"
    for wanted in ("bytes=0-9,20-29", "bytes=9-1", "bytes", "bytes=-", "lines=1-2", "x"):
        answer = await http.get(path, headers={"Range": wanted})
        assert (answer.status_code, answer.content) == (200, BYTES)
    for validator, expected in (
        (whole.headers["etag"], BYTES[:10]),
        (whole.headers["last-modified"], BYTES[:10]),
        ('"another"', BYTES),
        ("Mon, 01 Jan 2001 00:00:00 GMT", BYTES),
    ):
        answer = await http.get(path, headers={"Range": "bytes=0-9", "If-Range": validator})
        assert answer.content == expected, validator


async def test_cached_result_is_not_sent_again(kept: Api) -> None:
    path = keep(kept, job_id := new_job_id())
    tag = (await kept.http.get(path)).headers["etag"]
    for given in (tag, f'"other", W/{tag}', "*"):
        same = await kept.http.get(path, headers={"If-None-Match": given})
        assert (same.status_code, same.content) == (304, b"")
    keep(kept, job_id, BYTES + b"x")
    other = await kept.http.get(path, headers={"If-None-Match": tag})
    assert other.status_code == 200


async def test_missing_file_is_a_problem(lonely: Api) -> None:
    record = lonely.write(ended(sample_record(new_job_id())))
    missing = await lonely.http.get(f"/jobs/{record.job_id}/video")
    assert (missing.status_code, missing.json()["code"]) == (404, "asset_not_found")


async def test_expired_job_leaves_nothing_in_the_store(
    new_api: NewApi, client: Client, moto: str, *, by_hand: None
) -> None:
    given = given_for(moto, prefix=new_job_id(), retention_days=1)
    async with new_api(client, **given) as api:
        record = ended(sample_record(new_job_id()))
        old = CREATED - timedelta(days=400)
        assert Records(api.service.assets.store).write(
            record.model_copy(update={"finished_at": old})
        )
        keep(api, record.job_id)
        await api.service.follower.sweep()
        await api.service.repairer.remove_expired()
        assert list(api.service.assets.store.list("state/")) == []
        assert list(api.service.assets.store.list("assets/")) == []


async def test_unreachable_store_is_reported(new_lonely: NewApi, by_hand: None) -> None:
    async with new_lonely(**given_for("http://127.0.0.1:9")) as api:
        for path in (f"/jobs/{new_job_id()}", f"/jobs/{new_job_id()}/image"):
            answer = await api.http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "store_away")
            assert answer.json()["detail"] == "the store does not answer"
            assert answer.headers["retry-after"] == "1"
        ready = await api.http.get("/readyz")
        assert "store: the store does not answer" in ready.json()["detail"]


async def test_only_the_files_of_the_page_are_served(lonely: Api) -> None:
    parts = ["app.js", "lib/dom.js", "app.css", "icon.svg", "texts.json", "errors.json"]
    for name in parts:
        answer = await lonely.http.get(f"/dashboard/{name}")
        assert answer.status_code == 200, name
        assert "script-src 'self'" in answer.headers["content-security-policy"]
    outside = ["..%2Fhttp%2Fpage.py", "..%2F..%2F..%2Fshared%2Ftexts%2Fpage.json"]
    others = [*outside, "index.html", "none.js", ".js", "a%00.js"]
    for name in (*others, "lib", "lib/"):
        assert (await lonely.http.get(f"/dashboard/{name}")).status_code == 404, name


async def test_wrong_range_is_a_problem_for_every_file(lonely: Api) -> None:
    for url in ("/", "/dashboard/app.js", "/docs/swagger-ui.css"):
        answer = await lonely.http.get(url, headers={"Range": f"bytes={10**9}-"})
        assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
        assert answer.headers["content-type"] == "application/problem+json"
        part = await lonely.http.get(url, headers={"Range": "bytes=0-1"})
        assert part.status_code == 206
