"""The short form over the stack as ordinary processes."""

from functools import partial
from pathlib import Path

import pytest

from tests.chaos import short
from tests.chaos.site import as_processes

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]


async def test_no_rule_is_broken_by_processes(tmp_path: Path) -> None:
    deck = (
        *short.DECK,
        *short.WIRE_DECK,
        *short.VENDORS_DECK,
        *short.HELD_DECK,
        *short.OPERATORS_DECK,
    )
    plan = short.plan_of(2, deck)
    await short.no_rule_is_broken(partial(as_processes, **short.SETTINGS), plan, tmp_path)
