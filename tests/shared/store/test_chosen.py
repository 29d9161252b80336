"""Which store the settings name, and whether it can be relied on."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from shared.store.chosen import StoreRefused, chosen_store, probe, store_reason
from shared.store.folder import Folder
from shared.store.protocol import Store, StoreAway
from shared.store.settings import StoreSettings
from tests.fixtures.object_store import moto_server, settings_for
from tests.shared.store.conftest import objects_at


def test_store_with_conditional_writes_is_accepted_and_left_clean(store: Store) -> None:
    probe(store)
    assert list(store.list("probe/")) == []


@pytest.mark.parametrize("ignored", ["If-None-Match", "If-Match"])
def test_store_that_ignores_conditions_is_refused(ignored: str) -> None:
    with moto_server(ignored=ignored) as address:
        with pytest.raises(StoreRefused, match=f"ignores {ignored} of a write") as refused:
            probe(objects_at(address))
        assert "\n" not in str(refused.value)


def test_missing_bucket_is_named(moto: str) -> None:
    store = chosen_store(settings_for(moto, store_url="s3://another/place"))
    with pytest.raises(StoreAway, match="NoSuchBucket"):
        probe(store)
    # Nor is it one without any record.
    for ask in (store.read, store.remove, lambda key: list(store.list(f"{key}/"))):
        with pytest.raises(StoreAway, match="NoSuchBucket"):
            ask("state/jobs/a.json")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"store_url": "s3:bucket"}, "s3://bucket/prefix"),
        ({"store_url": "file:/elsewhere"}, "file: (the folder DATA_DIR)"),
        ({"store_url": "s3://bucket/../other?x"}, "s3://bucket/prefix"),
        ({"store_key": "abcd"}, "STORE_URL=file: does not use STORE_KEY"),
        ({"store_url": "s3://bucket", "store_key": "abcd"}, "go together"),
        ({"store_url": "gs://bucket", "store_secret": "abcd"}, "s3://bucket/prefix"),
    ],
)
def test_wrong_settings_are_refused_without_the_key(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        StoreSettings.model_validate(given)
    (error,) = refused.value.errors(include_input=False, include_url=False)
    assert said in error["msg"]
    assert "abcd" not in error["msg"]


def test_store_is_checked_at_the_start() -> None:
    assert StoreSettings().refusal(away=True) is None
    nobody = settings_for("http://127.0.0.1:9")
    assert nobody.refusal(away=False) is None
    assert nobody.refusal(away=True) == "STORE_URL: the store does not answer"
    with moto_server(ignored="If-Match") as address:
        refused = settings_for(address).refusal(away=False)
    assert refused is not None
    assert refused.startswith("STORE_URL: the store ignores If-Match of a write")


async def test_store_that_has_taken_a_write_is_only_read(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    assert await store_reason(store) is None
    assert (tmp_path / "probe").is_dir()

    (tmp_path / "probe").rmdir()
    assert await store_reason(store) is None
    assert not (tmp_path / "probe").exists()
