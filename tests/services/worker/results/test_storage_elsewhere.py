"""Results in a bucket: fetched and checked here, kept there under their digest, read from there."""

import asyncio
import hashlib
from pathlib import Path

import httpx
import pytest

from services.worker.results.storage import Storage
from services.worker.vendors.vendor import Bounds, Fitted
from shared.errors import StorageFailed
from shared.jobs.ids import new_job_id
from shared.jobs.states import Step
from shared.store.chosen import chosen_store
from shared.store.protocol import Store
from tests.fixtures.object_store import settings_for
from tests.services.worker import samples
from tests.services.worker.results.test_storage import (
    URL,
    answered,
    file_of,
    left_behind,
    storage_of,
)
from tests.services.worker.results.unconfined import Unconfined
from tests.services.worker.results.vendors import VENDOR

BOUNDS = Bounds(kinds=("PNG",), max_bytes=10**6, min_side=1, max_ratio=10)
JOB = new_job_id()


def storage_over(store: Store, data_dir: Path) -> Storage:
    """Storage of one good image."""
    storage = storage_of(answered(file_of(samples.png())), data_dir)
    storage._assets.store, storage._checker = store, Fitting()
    return storage


class Fitting(Unconfined):
    """Finds each picture within bounds."""

    async def fitted(self, path: Path, bounds: Bounds) -> Fitted:
        return Fitted(await asyncio.to_thread(path.read_bytes), is_new=False)


async def test_a_result_is_in_the_bucket_and_nothing_of_it_here(
    moto: str, tmp_path: Path, signs_in_a_thread: None
) -> None:
    store = chosen_store(settings_for(moto, prefix=new_job_id()))
    storage = storage_over(store, tmp_path)
    asset = await storage.store(URL, JOB, step=Step.IMAGE, vendor=VENDOR)
    (listed,) = store.list("assets/")
    assert listed.key == f"assets/{JOB}/image-{asset.sha256}.png"
    assert left_behind(tmp_path) == []

    fitted = await storage.fitted(JOB, BOUNDS)
    assert hashlib.sha256(fitted.data).hexdigest() == asset.sha256
    address = await storage.address(JOB)
    assert address is not None
    async with httpx.AsyncClient() as anybody:
        assert (await anybody.get(address)).content == fitted.data
    assert list((tmp_path / "assets").iterdir()) == []


async def test_a_store_that_is_away_is_as_a_full_disk(tmp_path: Path) -> None:
    storage = storage_over(chosen_store(settings_for("http://127.0.0.1:9")), tmp_path)
    with pytest.raises(StorageFailed, match="the store does not answer"):
        await storage.store(URL, JOB, step=Step.IMAGE, vendor=VENDOR)
    for call in (storage.fitted(JOB, BOUNDS), storage.address(JOB)):
        with pytest.raises(StorageFailed, match="the store does not answer"):
            await call
    assert left_behind(tmp_path) == []
