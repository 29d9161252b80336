"""The short form of chaos: few strikes of every sort, at a pace that leaves no idle moment."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.run import ChaosPlan, run
from tests.chaos.schedule import (
    API,
    BY_OPERATORS,
    HOLDER,
    IMAGES,
    RECEIVER,
    SEMAPHORE,
    SEMAPHORE_WORKFLOW,
    SERVER,
    VIDEOS,
    WAITER,
    WIRE,
    WORKER,
    WORKERS,
    Hit,
    Kind,
    Stage,
)
from tests.chaos.site import MakeSite, as_processes

# Each part of the stack, which is a process or a container.
PARTS_DECK = (
    Hit(Kind.KILL, WORKERS, Stage.IMAGE),
    Hit(Kind.FREEZE, WORKER[0], Stage.NEXT),
    Hit(Kind.KILL, SERVER, backlog=12),
    Hit(Kind.KILL, VIDEOS, Stage.SUBMITTED),
    Hit(Kind.KILL, SEMAPHORE, Stage.STORING),
    Hit(Kind.KILL, RECEIVER),
    Hit(Kind.KILL, API),
    Hit(Kind.KILL, IMAGES),
)
# Runs, which are Temporal's.
RUNS_DECK = (
    Hit(Kind.TERMINATE, HOLDER, Stage.WAITING),
    Hit(Kind.TERMINATE, SEMAPHORE_WORKFLOW),
    Hit(Kind.RESET, HOLDER, Stage.IMAGE),
    Hit(Kind.CANCEL, WAITER, Stage.QUEUED),
)
WIRE_DECK = (Hit(Kind.CUT, WIRE), Hit(Kind.DROP, WIRE), Hit(Kind.DELAY, WIRE))
HELD_DECK = (
    Hit(Kind.KILL, WORKERS, Stage.IMAGE_HELD),
    Hit(Kind.CANCEL, HOLDER, Stage.VIDEO_HELD),
    Hit(Kind.TERMINATE, HOLDER, Stage.IMAGE_HELD),
)
OPERATORS_DECK = (
    Hit(Kind.ACTIVITY_RESET, HOLDER, Stage.WAITING),
    Hit(Kind.ACTIVITY_FORGET, HOLDER, Stage.IMAGE),
    Hit(Kind.ACTIVITY_PAUSE, HOLDER, Stage.IMAGE),
    Hit(Kind.ACTIVITY_FAIL, HOLDER, Stage.IMAGE),
    Hit(Kind.ACTIVITY_COMPLETE, HOLDER, Stage.WAITING),
    *BY_OPERATORS,
)
SETTINGS = {
    # A job takes a third of a second, so that all that wait are soon over.
    "MOCK_SPEED": "400",
    # Longer than a submit can be held, because a submit in doubt is looked up during that time.
    "ACCEPT_SECONDS": "10",
}
PAUSE = 1.0
# Beyond the time-outs of heartbeats and sticky queues; the long form freezes for longer.
LONGEST = 5.0


pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]


async def test_chaos_of_processes_has_no_violation(tmp_path: Path) -> None:
    deck = (*PARTS_DECK, *RUNS_DECK, *WIRE_DECK, *HELD_DECK, *OPERATORS_DECK)
    result = await no_rule_is_broken(partial(as_processes, **SETTINGS), deck, tmp_path)

    # It proves something only if the strikes met somebody, and the books were read.
    assert result["grants"] > 0
    assert result["held"] > 0
    assert sum(result["by_operator"]) > len(result["by_operator"]) / 2


async def no_rule_is_broken(site: MakeSite, deck: tuple[Hit, ...], folder: Path) -> dict[str, Any]:
    """Every hit of the deck lands once, and the books show no violation."""
    plan = replace(ChaosPlan.once(2, deck, pause=PAUSE), longest=LONGEST, queue=6, tail=5)
    said: list[str] = []
    found = await run(plan, site, reports=folder, say=said.append)
    if found.violations:
        pytest.fail("\n".join(said), pytrace=False)
    assert sum(found.result["strikes"].values()) == len(deck)
    return found.result
