"""The short form of CI: few strikes of every sort, at a pace that leaves no idle moment."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.run import ChaosPlan, run
from tests.chaos.schedule import (
    API,
    ENDED,
    HOLDER,
    IMAGE_WIRE,
    IMAGES,
    RECEIVER,
    SEMAPHORE,
    SEMAPHORE_WORKFLOW,
    SERVER,
    VIDEO_WIRE,
    VIDEOS,
    WAITER,
    WIRE,
    WORKER,
    WORKERS,
    Hit,
    Kind,
    Stage,
)
from tests.chaos.site import MakeSite
from tests.chaos.vendor_wire import Route

DECK = (
    Hit(Kind.KILL, WORKERS, Stage.IMAGE),
    Hit(Kind.FREEZE, WORKER[0], Stage.NEXT),
    Hit(Kind.KILL, SERVER, backlog=12),
    Hit(Kind.TERMINATE, HOLDER, Stage.WAITING),
    Hit(Kind.KILL, VIDEOS, Stage.SUBMITTED),
    Hit(Kind.KILL, SEMAPHORE, Stage.STORING),
    Hit(Kind.TERMINATE, SEMAPHORE_WORKFLOW),
    Hit(Kind.RESET, HOLDER, Stage.IMAGE),
    Hit(Kind.CANCEL, WAITER, Stage.QUEUED),
    Hit(Kind.KILL, RECEIVER),
    Hit(Kind.KILL, API),
    Hit(Kind.KILL, IMAGES),
)
WIRE_DECK = (Hit(Kind.CUT, WIRE), Hit(Kind.DROP, WIRE), Hit(Kind.DELAY, WIRE))
VENDORS_DECK = (
    Hit(Kind.CUT_REQUEST, IMAGE_WIRE, route=Route.SUBMIT),
    Hit(Kind.CUT_REPLY, VIDEO_WIRE, route=Route.SUBMIT),
    Hit(Kind.HOLD_REPLY, VIDEO_WIRE, route=Route.STATUS),
    Hit(Kind.LOSE_REPLY, IMAGE_WIRE, route=Route.RESULT),
)
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
    Hit(Kind.ACTIVITY_FAIL, SEMAPHORE_WORKFLOW),
    Hit(Kind.ACTIVITY_COMPLETE, SEMAPHORE_WORKFLOW),
    Hit(Kind.DELETE, HOLDER, Stage.WAITING),
    Hit(Kind.DELETE, ENDED),
    Hit(Kind.START_AGAIN, ENDED),
    Hit(Kind.POISON, SEMAPHORE_WORKFLOW),
)
SETTINGS = {
    # A job takes a third of a second, so that all that wait are soon over.
    "MOCK_SPEED": "400",
    # Beyond the longest hold of a submit; each that is in doubt is looked for so long.
    "ACCEPT_SECONDS": "10",
}
PAUSE = 1.0
# Beyond the time-outs of heartbeats and sticky queues; the long form freezes for longer.
LONGEST = 5.0


async def no_rule_is_broken(make_site: MakeSite, plan: ChaosPlan, folder: Path) -> None:
    """Every hit of the deck lands once, and the books show no violation."""
    said: list[str] = []
    found = await run(plan, make_site, reports=folder, say=said.append)
    if found.violations:
        pytest.fail("\n".join(said), pytrace=False)
    assert sum(found.result["strikes"].values()) == len(plan.deck)
    if any(hit.route for hit in plan.deck):
        assert found.result["over_vendors_wires"] > 0


def plan_of(seed: int, deck: tuple[Hit, ...]) -> ChaosPlan:
    """The whole deck once, at the pace of the short form."""
    plan = ChaosPlan.once(seed, deck, pause=PAUSE)
    return replace(plan, longest=LONGEST, queue=6, tail=5)
