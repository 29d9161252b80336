"""The pause of a semaphore that rebuilds is shortened: here no listing is late."""

import pytest

from services.worker.results import checker
from shared.semaphore import rebuild


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, forked_openers: tuple[str, ...]) -> None:
    monkeypatch.setattr(checker, "COMMAND", forked_openers)
    monkeypatch.setattr(rebuild, "LISTING_PAUSE_SECONDS", 0.05)
