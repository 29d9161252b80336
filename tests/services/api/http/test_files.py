"""The stored results of a job, of a folder and of a bucket, and small pictures of them."""

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image
from temporalio.client import Client

from services.api import thumbnails
from services.api.service import Service
from services.api.thumbnails import Thumbnails
from shared.jobs.genvideo import GENVIDEO, IMAGE
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Record
from shared.store.records import Records
from tests.fixtures.object_store import given_for
from tests.services.api.conftest import Api, NewApi, ended
from tests.services.worker.samples import png
from tests.shared.standins import CREATED, asset_path, sample_record

BYTES = bytes(range(256)) * 4


@pytest.fixture
def job_id(api: Api) -> str:
    """A job with a picture and no video."""
    record = api.write(ended(sample_record(new_job_id())))
    path = asset_path(api.data_dir, record.job_id, IMAGE)
    path.parent.mkdir(parents=True)
    path.write_bytes(BYTES)
    return record.job_id


async def test_whole_and_by_head(api: Api, job_id: str) -> None:
    whole = await api.http.get(f"/jobs/{job_id}/image")
    head = await api.http.head(f"/jobs/{job_id}/image")

    assert (whole.status_code, whole.content) == (200, BYTES)
    assert whole.headers["content-type"] == "image/png"
    assert whole.headers["accept-ranges"] == "bytes"
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(BYTES))


async def test_ranges(api: Api, job_id: str) -> None:
    for wanted, first, last in (("0-9", 0, 9), ("1000-", 1000, 1023), ("-4", 1020, 1023)):
        answer = await api.http.get(f"/jobs/{job_id}/image", headers={"Range": f"bytes={wanted}"})
        assert answer.status_code == 206
        assert answer.content == BYTES[first : last + 1]
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(BYTES)}"


async def test_a_range_in_another_unit_counts_as_none(api: Api, job_id: str) -> None:
    for wanted in ("lines=1-2", "x"):
        answer = await api.http.get(f"/jobs/{job_id}/image", headers={"Range": wanted})
        assert (answer.status_code, answer.content) == (200, BYTES)


async def test_a_range_that_does_not_fit(api: Api, job_id: str) -> None:
    for wanted, status, code in (
        ("bytes=5000-", 416, "range_not_satisfiable"),
        ("bytes=9-1", 400, "bad_range"),
        ("bytes", 400, "bad_range"),
    ):
        answer = await api.http.get(f"/jobs/{job_id}/image", headers={"Range": wanted})
        assert (answer.status_code, answer.json()["code"]) == (status, code), wanted
        assert answer.headers["content-type"] == "application/problem+json"


async def test_what_a_browser_has_is_not_sent_again(api: Api, job_id: str) -> None:
    tag = (await api.http.get(f"/jobs/{job_id}/image")).headers["etag"]
    for given in (f'"other", W/{tag}', "*"):
        asked = {"If-None-Match": given}
        assert (await api.http.get(f"/jobs/{job_id}/image", headers=asked)).status_code == 304
    same = await api.http.get(f"/jobs/{job_id}/image", headers={"If-None-Match": tag})
    assert (same.status_code, same.content) == (304, b"")

    asset_path(api.data_dir, job_id, IMAGE).write_bytes(BYTES + b"x")
    other = await api.http.get(f"/jobs/{job_id}/image", headers={"If-None-Match": tag})
    assert other.status_code == 200


async def test_a_file_that_is_not_there_yet(api: Api, job_id: str) -> None:
    missing = await api.http.get(f"/jobs/{job_id}/video")
    unknown = await api.http.get(f"/jobs/{new_job_id()}/video")
    assert (missing.status_code, missing.json()["code"]) == (404, "asset_not_found")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "job_not_found")


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polls and sweeps happen when the test says so."""
    monkeypatch.setattr(Service, "running", lambda _: nullcontext())


@pytest.fixture
async def shared_api(new_lonely: NewApi, moto: str, by_hand: None) -> AsyncIterator[Api]:
    """An API over a prefix of its own; Temporal is away."""
    async with new_lonely(**given_for(moto, prefix=new_job_id())) as made:
        yield made


def keep(api: Api, job_id: str, body: bytes, step: str = "image") -> None:
    file = api.data_dir / "part"
    file.write_bytes(body)
    api.service.assets.keep(file, job_id, GENVIDEO.stage(step), digest="a" * 64)


def write(api: Api, record: Record) -> Record:
    assert Records(api.service.assets.store).write(record)
    return record


async def test_a_result_is_had_whole_and_in_ranges(
    shared_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.api.http.files.PIECE", 100)
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
        ("bytes", 400, "bad_range"),
    ):
        refused = await shared_api.http.get(path, headers={"Range": wanted})
        assert (refused.status_code, refused.json()["code"]) == (status, code)

    tag = {"If-None-Match": whole.headers["etag"]}
    assert (await shared_api.http.get(path, headers=tag)).status_code == 304
    other = {"Range": "bytes=0-9", "If-Range": '"another"'}
    assert (await shared_api.http.get(path, headers=other)).content == BYTES
    for ignored in ("bytes=0-9,20-29", "lines=1-2"):
        assert (await shared_api.http.get(path, headers={"Range": ignored})).content == BYTES


async def test_a_result_is_had_by_an_address_of_the_store(
    new_lonely: NewApi, moto: str, by_hand: None, *, signs_in_a_thread: None
) -> None:
    async with new_lonely(**given_for(moto, prefix=new_job_id(), store_links="on")) as api:
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
        await api.service.repairer.remove_expired()
        assert list(api.service.assets.store.list("state/")) == []
        assert list(api.service.assets.store.list("assets/")) == []


async def test_while_the_store_is_away_that_is_what_is_said(
    new_lonely: NewApi, by_hand: None
) -> None:
    async with new_lonely(**given_for("http://127.0.0.1:9")) as api:
        for path in (f"/jobs/{new_job_id()}", f"/jobs/{new_job_id()}/image"):
            answer = await api.http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "store_away")
            assert answer.json()["detail"] == "the store does not answer"
            assert answer.headers["retry-after"] == "1"
        ready = await api.http.get("/readyz")
        assert "store: the store does not answer" in ready.json()["detail"]


def stored(data_dir: Path, data: bytes) -> str:
    job_id = new_job_id()
    path = asset_path(data_dir, job_id, IMAGE)
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return job_id


def large() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((1200, 800), 90).save(out, "PNG")
    return out.getvalue()


async def test_it_is_small_and_made_once(lonely: Api) -> None:
    job_id = stored(lonely.data_dir, large())
    lonely.write(sample_record(job_id))

    answer = await lonely.http.get(f"/jobs/{job_id}/thumbnail")
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert picture.size == (144, 96)
    assert answer.headers["content-type"] == thumbnails.THUMBNAIL_TYPE

    headers = {"If-None-Match": answer.headers["etag"]}
    assert (await lonely.http.get(f"/jobs/{job_id}/thumbnail", headers=headers)).status_code == 304
    assert (await lonely.http.get(f"/jobs/{new_job_id()}/thumbnail")).status_code in (404, 503)


async def test_a_picture_that_can_not_be_opened_is_shown_as_it_is(tmp_path: Path) -> None:
    broken = png()[:60]
    job_id = stored(tmp_path, broken)
    assert await Thumbnails().of(asset_path(tmp_path, job_id, IMAGE)) is None


# In the place of the opening: what the process has, and what it may do.
LOOKS = """
import json, os, resource, sys
sys.path.insert(0, sys.argv[1])
from services.api import thumbnail_child as child
def look(path, formats):
    names = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_CORE")
    limits = {name: resource.getrlimit(getattr(resource, name))[1] for name in names}
    print(json.dumps([sorted(os.environ), limits]), flush=True)
    os._exit(0)
child.Image.open = look
child.main(sys.argv[2])
"""


async def test_a_picture_is_opened_by_a_process_that_may_do_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "picture"
    path.write_bytes(png())
    command = (sys.executable, "-I", "-c", LOOKS, str(thumbnails.ROOT))
    monkeypatch.setattr(thumbnails, "COMMAND", command)
    told = await Thumbnails().of(path)
    assert told is not None
    environment, limits = json.loads(told)
    # What Python itself sets where there is no locale.
    assert set(environment) <= {"LC_CTYPE"}
    assert (limits["RLIMIT_FSIZE"], limits["RLIMIT_CORE"]) == (0, 0)
    assert 0 < limits["RLIMIT_AS"] <= 2**30
    assert 0 < limits["RLIMIT_CPU"] <= thumbnails.WALL_SECONDS


async def test_beyond_so_many_that_wait_one_asks_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = asyncio.Event()

    async def slow(_path: Path) -> bytes:
        await made.wait()
        return b"small"

    monkeypatch.setattr(thumbnails, "MOST_WAITING", 2)
    monkeypatch.setattr(thumbnails, "_made", slow)
    paths = [tmp_path / str(number) for number in range(3)]
    for path in paths:
        path.write_bytes(b"")
    small = Thumbnails()
    asked = [asyncio.create_task(small.of(path)) for path in paths]
    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)

    [refused] = done
    assert isinstance(refused.exception(), thumbnails.TooMany)
    made.set()
    assert [await task for task in asked if task is not refused] == [b"small", b"small"]
    assert await small.of(paths[2]) == b"small"
