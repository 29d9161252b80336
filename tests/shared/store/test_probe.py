"""A store that can't tell two writers apart is refused, in one line."""

from pathlib import Path

import pytest

from shared.store.chosen import StoreRefused, chosen_store, probe, store_reason
from shared.store.folder import Folder
from shared.store.protocol import Held, Store, StoreAway
from tests.fixtures.object_store import localbucket, moto_server, settings_for
from tests.shared.store.conftest import objects_at


def test_one_that_checks_its_writes_is_taken_and_nothing_is_left(store: Store) -> None:
    probe(store)
    assert list(store.list("probe/")) == []


@pytest.mark.parametrize("ignored", ["If-None-Match", "If-Match"])
def test_one_that_ignores_a_condition_is_refused(ignored: str) -> None:
    refusal = pytest.raises(StoreRefused, match=f"ignores {ignored} of a write")
    with moto_server(ignored=ignored) as address, refusal as refused:
        probe(objects_at(address))
    assert "\n" not in str(refused.value)


def test_localbucket_is_refused(tmp_path: Path) -> None:
    with localbucket(tmp_path) as address, pytest.raises(StoreRefused, match="ignores If-Match"):
        probe(objects_at(address))


def test_a_bucket_that_is_not_there_is_named_so(moto: str) -> None:
    store = chosen_store(settings_for(moto, store_url="s3://another/place"))
    with pytest.raises(StoreAway, match="NoSuchBucket"):
        probe(store)
    # Nor is it one without any record.
    for ask in (store.read, store.remove, lambda key: list(store.list(f"{key}/"))):
        with pytest.raises(StoreAway, match="NoSuchBucket"):
            ask("state/jobs/a.json")


class Counting(Folder):
    """A folder that is full at times, and counts what is written."""

    written, full = 0, False

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self.written += 1
        return super().put_if_absent(key, data)

    def read(self, key: str) -> Held | None:
        if self.full:
            raise StoreAway("it is full")
        return super().read(key)


async def test_whoever_asks_again_and_again_has_nothing_written(tmp_path: Path) -> None:
    store = Counting(tmp_path)
    assert [await store_reason(store) for _ in range(3)] == [None, None, None]
    assert store.written == 1
    store.full = True
    assert await store_reason(store) == "it is full"
    store.full = False
    assert await store_reason(store) is None
    assert store.written == 2
