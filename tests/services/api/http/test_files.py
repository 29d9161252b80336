"""Stored results: whole, in ranges, by ETag; and a problem wherever they don't fit."""

import pytest

from shared.jobs.assets import asset_path
from shared.jobs.ids import new_job_id
from shared.jobs.states import Step
from tests.services.api.conftest import Api, ended
from tests.shared.standins import sample_record

BYTES = bytes(range(256)) * 4


@pytest.fixture
def job_id(api: Api) -> str:
    """A job with a picture and no video."""
    record = api.write(ended(sample_record(new_job_id())))
    path = asset_path(api.data_dir, record.job_id, Step.IMAGE)
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


@pytest.mark.parametrize(("accept", "status"), [("image/*", 200), ("text/html", 406)])
async def test_accept_is_heeded(api: Api, job_id: str, accept: str, status: int) -> None:
    answer = await api.http.get(f"/jobs/{job_id}/image", headers={"Accept": accept})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("wanted", "first", "last"), [("0-9", 0, 9), ("1000-", 1000, 1023), ("-4", 1020, 1023)]
)
async def test_ranges(api: Api, job_id: str, wanted: str, *, first: int, last: int) -> None:
    answer = await api.http.get(f"/jobs/{job_id}/image", headers={"Range": f"bytes={wanted}"})
    assert answer.status_code == 206
    assert answer.content == BYTES[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(BYTES)}"


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ("bytes=5000-", 416, "range_not_satisfiable"),
        ("bytes=9-1", 400, "bad_range"),
        ("lines=1-2", 400, "bad_range"),
        ("bytes", 400, "bad_range"),
    ],
)
async def test_a_range_that_does_not_fit(
    api: Api, job_id: str, wanted: str, *, status: int, code: str
) -> None:
    answer = await api.http.get(f"/jobs/{job_id}/image", headers={"Range": wanted})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_what_a_browser_has_is_not_sent_again(api: Api, job_id: str) -> None:
    tag = (await api.http.get(f"/jobs/{job_id}/image")).headers["etag"]
    for given in (f'"other", W/{tag}', "*"):
        asked = {"If-None-Match": given}
        assert (await api.http.get(f"/jobs/{job_id}/image", headers=asked)).status_code == 304
    same = await api.http.get(f"/jobs/{job_id}/image", headers={"If-None-Match": tag})
    assert (same.status_code, same.content) == (304, b"")

    asset_path(api.data_dir, job_id, Step.IMAGE).write_bytes(BYTES + b"x")
    other = await api.http.get(f"/jobs/{job_id}/image", headers={"If-None-Match": tag})
    assert other.status_code == 200


async def test_a_file_that_is_not_there_yet(api: Api, job_id: str) -> None:
    missing = await api.http.get(f"/jobs/{job_id}/video")
    unknown = await api.http.get(f"/jobs/{new_job_id()}/video")
    assert (missing.status_code, missing.json()["code"]) == (404, "asset_not_found")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "job_not_found")
