"""The two stores, each empty; what holds for one of them holds for the other."""

import secrets
from pathlib import Path

import pytest

from shared.store.chosen import chosen_store
from shared.store.protocol import Store
from shared.store.settings import StoreSettings
from tests.fixtures.object_store import settings_for


@pytest.fixture(params=["folder", "objects"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return chosen_store(StoreSettings(data_dir=tmp_path))
    return objects_at(request.getfixturevalue("moto"))


def objects_at(address: str) -> Store:
    """A prefix of its own in the bucket of a server."""
    return chosen_store(settings_for(address, prefix=secrets.token_hex(8)))
