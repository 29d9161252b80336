"""A healthy run for tests to bend."""

from pathlib import Path

import pytest

from loadtest.run.plan import planned
from tests.loadtest.synthetic import Synthetic


@pytest.fixture
def honest(tmp_path: Path) -> Synthetic:
    """Six jobs in two stages, of which nothing bad is to be said."""
    return Synthetic(tmp_path, plan=planned("1,5", seed="7")).write()
