"""A small picture of a stored one: made once, by a process that a hostile file can't use."""

import asyncio
import io
from pathlib import Path

import pytest
from PIL import Image

from services.api.thumbnails import maker
from services.api.thumbnails.maker import Thumbnails
from shared.jobs.assets import asset_path
from shared.jobs.ids import new_job_id
from shared.jobs.states import Step
from tests.services.api.conftest import Api
from tests.services.worker.samples import png
from tests.shared.standins import sample_record


def stored(data_dir: Path, data: bytes) -> str:
    job_id = new_job_id()
    path = asset_path(data_dir, job_id, Step.IMAGE)
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
    assert answer.headers["content-type"] == maker.MEDIA_TYPE

    headers = {"If-None-Match": answer.headers["etag"]}
    assert (await lonely.http.get(f"/jobs/{job_id}/thumbnail", headers=headers)).status_code == 304
    assert (await lonely.http.get(f"/jobs/{new_job_id()}/thumbnail")).status_code in (404, 503)


async def test_a_picture_that_can_not_be_opened_is_shown_as_it_is(tmp_path: Path) -> None:
    broken = png()[:60]
    job_id = stored(tmp_path, broken)
    assert await Thumbnails().of(asset_path(tmp_path, job_id, Step.IMAGE)) is None


async def test_beyond_so_many_that_wait_one_asks_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = asyncio.Event()

    async def slow(_path: Path) -> bytes:
        await made.wait()
        return b"small"

    monkeypatch.setattr(maker, "MOST_WAITING", 2)
    monkeypatch.setattr(maker, "_made", slow)
    paths = [tmp_path / str(number) for number in range(3)]
    for path in paths:
        path.write_bytes(b"")
    thumbnails = Thumbnails()
    asked = [asyncio.create_task(thumbnails.of(path)) for path in paths]
    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)

    [refused] = done
    assert isinstance(refused.exception(), maker.TooMany)
    made.set()
    assert [await task for task in asked if task is not refused] == [b"small", b"small"]
    assert await thumbnails.of(paths[2]) == b"small"
