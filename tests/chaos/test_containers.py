"""The short form over the very compose files: each container is killed once, and one is frozen."""

from pathlib import Path

import pytest

from tests.chaos.site import in_containers
from tests.chaos.test_chaos import PARTS_DECK, no_rule_is_broken

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]


async def test_chaos_of_containers_has_no_violation(tmp_path: Path) -> None:
    await no_rule_is_broken(in_containers, PARTS_DECK, tmp_path)
