"""The short form over the very compose files."""

from functools import partial
from pathlib import Path

import pytest

from tests.chaos import short
from tests.chaos.site import in_containers

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]


async def test_no_rule_is_broken_by_containers(tmp_path: Path) -> None:
    plan = short.plan_of(2, short.DECK)
    await short.no_rule_is_broken(partial(in_containers, **short.SETTINGS), plan, tmp_path)
