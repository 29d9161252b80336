"""Arming a run's faults in the mocks and disarming them, whatever happens in between."""

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from loadtest.run.plan import PlanError
from loadtest.wire.http import Unreachable
from loadtest.wire.vendor import Refused, Vendor


@contextlib.asynccontextmanager
async def armed(
    vendors: Sequence[Vendor], plans: Sequence[str], *, seed: int
) -> AsyncIterator[None]:
    """Keep these fault plans in force; raises PlanError with everything a mock objects to.

    Only rules that are ours are removed: what a user armed before stays armed.
    """
    before = {vendor.name: set(await vendor.rules()) for vendor in vendors} if plans else {}
    try:
        # One mock may have taken a plan that the other one refuses: it is disarmed all the same.
        await _arm(vendors, plans, seed=seed)
        yield
    finally:
        for vendor in vendors if plans else ():
            with contextlib.suppress(Unreachable):
                for rule in set(await vendor.rules()) - before[vendor.name]:
                    await vendor.disarm(rule)


async def _arm(vendors: Sequence[Vendor], plans: Sequence[str], *, seed: int) -> None:
    problems = []
    for plan in plans:
        for vendor in vendors:
            try:
                await vendor.arm(_seeded(plan, seed))
            except Refused as error:
                problems.append(str(error))
    if problems:
        raise PlanError(problems)


def _seeded(plan: str, seed: int) -> dict[str, Any]:
    """A rule alone becomes a plan, and the run's seed decides whom it meets."""
    body: dict[str, Any] = json.loads(plan)
    if not {"rules", "preset"} & body.keys():
        body = {"rules": [body]}
    return {"seed": seed, **body}
