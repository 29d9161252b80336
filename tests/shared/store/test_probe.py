"""A store that can't tell two writers apart is refused, in one line."""

from pathlib import Path

import pytest

from shared.store.chosen import chosen_store
from shared.store.probe import StoreRefused, probe
from shared.store.protocol import Store, StoreAway
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
