"""A healthy run for those that forge its books."""

from pathlib import Path

import pytest

from loadtest.books import raw
from tests.loadtest.synthetic import Synthetic


@pytest.fixture
def run(tmp_path: Path) -> Synthetic:
    healthy = Synthetic(tmp_path).write()
    healthy.folder.write(raw.REPLAY, {"replayed": 3, "kept": 3, "failures": {}})
    return healthy
