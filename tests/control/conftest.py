"""The pause of a semaphore that rebuilds is shortened: here no listing is late."""

import pytest

from services.semaphore import rebuild


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "LISTING_PAUSE_SECONDS", 0.05)
