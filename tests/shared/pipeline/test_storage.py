"""Storage: from allowed hosts only, no redirect, whole files or none; in a folder or a bucket."""

import asyncio
import gzip
import hashlib
import io
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from services.worker.results.checker import Bounds
from shared.errors import BadResult, NeverDelivered, ResultNotAllowed, StorageFailed, WrongKind
from shared.http.client import http_client
from shared.jobs.genvideo import GENVIDEO, IMAGE, VIDEO
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Asset
from shared.pipeline import storage as module
from shared.pipeline.definition import Stage
from shared.pipeline.fetching import CheckedTransport
from shared.pipeline.hosts import Address
from shared.pipeline.policies import ABANDONED_SECONDS, FETCH_TRIES
from shared.pipeline.storage import Storage
from shared.pipeline.vendor import Vendor
from shared.store.chosen import chosen_store
from shared.store.protocol import Store
from tests.fixtures.object_store import settings_for
from tests.services.mock_core.serving import served
from tests.services.worker import hostile, samples
from tests.services.worker.results.helpers import ANY_KIND, VENDOR, Unconfined
from tests.services.worker.vendors.stub import Answer, StubVendor
from tests.shared.standins import asset_path

JOB = "job-0123456789abcdef01234567"
URL = "http://vendor/files/1"
PATH = "GET /files/1"
BODIES = {"PNG": samples.png(), "MP4": samples.mp4()}


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FETCH_PAUSE_SECONDS", 0)


async def somewhere(host: str, port: int) -> list[Address]:
    return [ip_address("10.1.2.3")]


def storage_in(data_dir: Path, http: httpx.AsyncClient, **vendors: str) -> Storage:
    return Storage(
        http,
        checker=Unconfined(),
        vendors=vendors,
        data_dir=data_dir,
        max_bytes=10**6,
    )


def storage_of(vendor: StubVendor, data_dir: Path) -> Storage:
    """Storage that may ask the vendor alone."""
    transport = CheckedTransport(
        vendor.transport(), inside=frozenset({"vendor"}), outside=frozenset(), resolve=somewhere
    )
    http = http_client(transport=transport)
    return storage_in(data_dir, http, **dict.fromkeys(GENVIDEO.names, "http://vendor"))


def answered(*answers: Answer) -> StubVendor:
    return StubVendor({PATH: list(answers)})


async def store(
    storage: Storage, stage: Stage = IMAGE, *, url: str = URL, vendor: Vendor = VENDOR
) -> Asset:
    return await storage.store(url, JOB, stage=stage, vendor=vendor)


def file_of(body: bytes, status: int = 200) -> Answer:
    return lambda _: httpx.Response(status, content=body)


def cut(body: bytes) -> Answer:
    """An answer whose connection ends before the promised length."""

    async def half() -> AsyncIterator[bytes]:
        yield body[: len(body) // 2]
        raise httpx.RemoteProtocolError("peer closed connection")

    return lambda _: httpx.Response(200, content=half())


def left_behind(data_dir: Path) -> list[Path]:
    return [path for path in data_dir.rglob("*") if path.is_file()]


@pytest.mark.parametrize("stage", GENVIDEO.stages, ids=GENVIDEO.names)
async def test_good_file_is_kept_with_its_size_and_digest(tmp_path: Path, stage: Stage) -> None:
    body = BODIES[stage.file.name]
    asset = await store(storage_of(answered(file_of(body)), tmp_path), stage)
    assert asset_path(tmp_path, JOB, stage).read_bytes() == body
    assert (asset.size, asset.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert asset.media_type == stage.file.media_type
    assert left_behind(tmp_path) == [asset_path(tmp_path, JOB, stage)]


BAD = {
    "truncated": file_of(samples.mp4()[:9000]),
    "cut off": cut(samples.mp4()),
    "empty": file_of(b""),
    "a page": file_of(b"<html>sorry</html>"),
    "oversized": file_of(samples.mp4() + b"\0" * 10**6),
    "gone": file_of(b"", 404),
    "forbidden": file_of(b"", 403),
    "redirected inside": lambda _: httpx.Response(
        302, headers={"location": "http://169.254.169.254/latest"}
    ),
}


@pytest.mark.parametrize("answer", BAD.values(), ids=list(BAD))
async def test_bad_file_is_never_kept_and_a_good_one_after_it_is(
    tmp_path: Path, answer: Answer
) -> None:
    vendor = answered(answer)
    with pytest.raises(BadResult):
        await store(storage_of(vendor, tmp_path), VIDEO)
    assert vendor.asked == [PATH] * FETCH_TRIES
    assert left_behind(tmp_path) == []
    await store(storage_of(answered(answer, file_of(samples.mp4())), tmp_path), VIDEO)
    assert asset_path(tmp_path, JOB, VIDEO).read_bytes() == samples.mp4()


async def test_file_of_another_kind_is_not_fetched_again(tmp_path: Path) -> None:
    vendor = answered(file_of(samples.jpeg()), file_of(samples.png()))
    with pytest.raises(WrongKind):
        await store(storage_of(vendor, tmp_path))
    assert vendor.asked == [PATH]
    assert left_behind(tmp_path) == []


NOT_GIVEN = {
    "500": file_of(b"", 500),
    "503": file_of(b"", 503),
    "429": file_of(b"", 429),
    "reset": httpx.ReadError("reset"),
    "too slow": httpx.ReadTimeout("slow"),
}


@pytest.mark.parametrize("answer", NOT_GIVEN.values(), ids=list(NOT_GIVEN))
async def test_missing_file_is_waited_for_and_not_for_ever(
    tmp_path: Path, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the job would ask for it until its own time is up."""
    vendor = answered(*[answer] * (FETCH_TRIES + 2), file_of(samples.png()))
    await store(storage_of(vendor, tmp_path / "one"))
    assert left_behind(tmp_path) == [asset_path(tmp_path / "one", JOB, IMAGE)]
    monkeypatch.setattr(module, "FETCH_PATIENCE_SECONDS", 0.01)
    with pytest.raises(BadResult, match=r"So it was for 0\.01 s"):
        await store(storage_of(answered(answer), tmp_path / "other"))
    assert left_behind(tmp_path / "other") == []


@pytest.mark.parametrize("answer", [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow")])
async def test_unreachable_host_is_left_to_the_activitys_retry(
    tmp_path: Path, answer: Answer
) -> None:
    vendor = answered(answer)
    with pytest.raises(StorageFailed):
        await store(storage_of(vendor, tmp_path))
    assert vendor.asked == [PATH]


async def test_leftovers_of_a_killed_worker_are_removed_but_not_of_others(tmp_path: Path) -> None:
    path = asset_path(tmp_path, JOB, IMAGE)
    path.parent.mkdir(parents=True)
    abandoned, other = (path.parent / f".image.png.{name}.part" for name in ("0123", "4567"))
    for partial in (abandoned, other):
        partial.write_bytes(b"half of it")
    before = time.time() - 2 * ABANDONED_SECONDS
    os.utime(abandoned, (before, before))
    await store(storage_of(answered(file_of(samples.png())), tmp_path))
    assert set(left_behind(tmp_path)) == {path, other}


@pytest.mark.parametrize(
    "url",
    [
        "http://elsewhere/1.png",
        "http://evil#vendor",
        "http://vendor\\@evil/1.png",
        "//vendor/1.png",
        "/files/1",
        "file://vendor/etc/passwd",
        "ftp://vendor/1.png",
        "http://vendor/\x00",
        "",
    ],
)
async def test_other_address_is_not_called(tmp_path: Path, url: str) -> None:
    vendor = StubVendor({})
    with pytest.raises((ResultNotAllowed, BadResult)):
        await store(storage_of(vendor, tmp_path), url=url)
    assert vendor.asked == []


async def test_full_disk_is_not_the_vendors_fault(tmp_path: Path) -> None:
    (tmp_path / "assets").write_text("in the way")
    with pytest.raises(StorageFailed, match="Our disk"):
        await store(storage_of(answered(file_of(samples.png())), tmp_path))


async def test_linked_folder_is_not_followed(tmp_path: Path) -> None:
    elsewhere, data_dir = tmp_path / "elsewhere", tmp_path / "data"
    elsewhere.mkdir()
    (data_dir / "assets").mkdir(parents=True)
    (data_dir / "assets" / JOB).symlink_to(elsewhere)
    storage = storage_of(answered(file_of(samples.png())), data_dir)
    with pytest.raises(StorageFailed, match="Our disk: Not a directory"):
        await store(storage)
    assert left_behind(elsewhere) == []
    (elsewhere / "image.png").write_bytes(samples.png())
    with pytest.raises(StorageFailed, match="the stored image is not there"):
        await storage.fitted(JOB, "image", BOUNDS)


SECRET = b"a-secret-of-the-tests"
OTHER_KINDS = [samples.picture("JPEG", comment=SECRET), samples.picture("WEBP", xmp=SECRET)]


@pytest.mark.parametrize("body", OTHER_KINDS, ids=["jpeg", "webp"])
async def test_image_of_another_format_is_stored_as_png(tmp_path: Path, body: bytes) -> None:
    storage = storage_of(answered(file_of(body)), tmp_path)
    asset = await store(storage, vendor=ANY_KIND)
    stored = asset_path(tmp_path, JOB, IMAGE).read_bytes()
    assert asset.media_type == "image/png"
    assert (asset.size, asset.sha256) == (len(stored), hashlib.sha256(stored).hexdigest())
    assert SECRET not in stored
    with Image.open(io.BytesIO(stored)) as new, Image.open(io.BytesIO(body)) as sent:
        assert (new.format, new.tobytes()) == ("PNG", sent.tobytes())
    with pytest.raises(WrongKind, match="not PNG"):
        await store(storage)


Headers = dict[bytes, bytes]


class Host:
    """Sends the same parts each time, with these headers, and remembers what was asked."""

    def __init__(self, parts: Callable[[], AsyncIterator[bytes]], **headers: str) -> None:
        self.asked: list[Headers] = []
        self._parts = parts
        self._headers = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]

    async def __call__(
        self, scope: Any, receive: Any, send: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        self.asked.append(dict(scope["headers"]))
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        async for part in self._parts():
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def whole(body: bytes) -> Callable[[], AsyncIterator[bytes]]:
    async def parts() -> AsyncIterator[bytes]:
        yield body

    return parts


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield bytes(10**5)
        # Nobody may be there any more to be waited for.
        await asyncio.sleep(0.001)


async def dripping() -> AsyncIterator[bytes]:
    while True:
        yield b"x"
        await asyncio.sleep(0.01)


def over_sockets(
    *, inside: frozenset[str] = frozenset(), outside: frozenset[str] = frozenset()
) -> CheckedTransport:
    plain = httpx.AsyncHTTPTransport(trust_env=False)
    return CheckedTransport(plain, inside=inside, outside=outside)


@asynccontextmanager
async def storing(host: Host, data_dir: Path) -> AsyncIterator[tuple[Storage, str]]:
    """Storage that may ask this host alone, and an address there."""
    async with served(host) as base:
        transport = over_sockets(inside=frozenset({base.removeprefix("http://")}))
        async with http_client(transport=transport) as http:
            yield storage_in(data_dir, http, image=base), f"{base}/files/1"


async def refused(host: Host, data_dir: Path, reason: str) -> None:
    """The file is a bad one for this reason, and nothing of it is kept."""
    async with storing(host, data_dir) as (storage, url):
        with pytest.raises(BadResult, match=reason):
            await store(storage, url=url)
    assert left_behind(data_dir) == []


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip", "deflate", "br", "identity, gzip"])
@pytest.mark.parametrize(
    "body", [hostile.gzip_bomb(), gzip.compress(samples.png())], ids=["a bomb", "a good file"]
)
async def test_encoded_file_is_not_decoded(tmp_path: Path, encoding: str, body: bytes) -> None:
    host = Host(whole(body), content_encoding=encoding)
    await refused(host, tmp_path, "is encoded")
    assert len(host.asked) == FETCH_TRIES


async def test_look_at_a_source_ends_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte begins the time-out of a read again, and nothing cancels a submit."""
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.3)

    async def slow() -> AsyncIterator[bytes]:
        yield b"\x89"
        await asyncio.Event().wait()

    storage = storage_of(answered(lambda _: httpx.Response(200, content=slow())), tmp_path)
    with pytest.raises(NeverDelivered, match=r"gives no file within 0\.3 s"):
        await storage.look(URL, {"PNG": b"\x89PNG"})


async def test_endless_file_is_cut_off(tmp_path: Path) -> None:
    await refused(Host(endless), tmp_path, "larger than 1000000 bytes")


async def test_slow_file_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FETCH_SECONDS", 0.3)
    host = Host(dripping)
    await refused(host, tmp_path, "not fetched within 0.3 s")
    assert len(host.asked) == 1


BOUNDS = Bounds(kinds=("PNG",), max_bytes=10**6, min_side=1, max_ratio=10)


def storage_over(store: Store, data_dir: Path) -> Storage:
    storage = storage_of(answered(file_of(samples.png())), data_dir)
    storage._assets.store, storage._checker = store, Fitting()
    return storage


class Fitting(Unconfined):
    """Finds each picture within bounds."""

    async def fitted(self, path: Path, bounds: Bounds) -> bytes:
        return await asyncio.to_thread(path.read_bytes)


async def test_result_is_in_the_bucket_and_not_on_disk(moto: str, tmp_path: Path) -> None:
    bucket = chosen_store(settings_for(moto, prefix=new_job_id()))
    storage = storage_over(bucket, tmp_path)
    asset = await store(storage)
    (listed,) = bucket.list("assets/")
    assert listed.key == f"assets/{JOB}/image-{asset.sha256}.png"
    assert left_behind(tmp_path) == []

    fitted = await storage.fitted(JOB, "image", BOUNDS)
    assert hashlib.sha256(fitted).hexdigest() == asset.sha256
    assert list((tmp_path / "assets").iterdir()) == []


async def test_unreachable_store_is_like_a_full_disk(tmp_path: Path) -> None:
    storage = storage_over(chosen_store(settings_for("http://127.0.0.1:9")), tmp_path)
    with pytest.raises(StorageFailed, match="the store does not answer"):
        await store(storage)
    with pytest.raises(StorageFailed, match="the store does not answer"):
        await storage.fitted(JOB, "image", BOUNDS)
    assert left_behind(tmp_path) == []
