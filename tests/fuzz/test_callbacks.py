"""A small share of what `python -m tests.fuzz.callbacks` sends; FUZZ_BODIES makes it more."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.fixtures.temporal import NewClient
from tests.fuzz.callbacks import run

COUNT = int(os.environ.get("FUZZ_BODIES", "500"))


@pytest.mark.timeout(300 + COUNT // 10)
def test_no_failure_no_leak_no_forgery(
    new_client: NewClient, temporal_address: str, tmp_path: Path
) -> None:
    namespace = asyncio.run(new_client()).namespace
    tally, wrong = run(tmp_path, temporal_address, namespace, count=COUNT)
    assert wrong == []
    assert tally["genuine", 200] > 0
    assert tally["forged", 404] > 0
