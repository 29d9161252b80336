"""Entry of `python -m tests.mutants.innocents FIRST LAST`: every preset with each seed, by
the product as it is. 0 when the judge finds nothing in any run, else 1.

Each lane has one stack, as a load test's user has; the one of every second lane has two workers.
"""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

from services.mock_core.faults.presets import PRESETS
from tests.mutants.__main__ import shown, summed
from tests.mutants.mutant import Mutant
from tests.mutants.product import copied
from tests.mutants.site import Act, Lane, Scene, Site
from tests.mutants.trial import LANES, Outcome, tried_in

# Short enough that a preset which never answers ends within half a minute.
STACK = Scene(
    jobs=5,
    stall=100,
    settings={
        **{f"{stage}_ATTEMPT_SECONDS": "10" for stage in ("IMAGE", "VIDEO")},
        **{f"{stage}_GIVE_UP_SECONDS": "30" for stage in ("IMAGE", "VIDEO")},
        **{f"{stage}_LOST_SECONDS": "3" for stage in ("IMAGE", "VIDEO")},
    },
)
FROZEN_SECONDS = (0.2, 3.0)


async def main(arguments: list[str]) -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.innocents")
    parser.add_argument("first", type=int, metavar="FIRST")
    parser.add_argument("last", type=int, metavar="LAST")
    parser.add_argument("--only", nargs="*", metavar="PRESET", choices=PRESETS, default=[*PRESETS])
    parser.add_argument("--freeze", action="store_true", help="stop a service for a moment")
    parser.add_argument("--lanes", type=int, default=LANES, help="so many stacks at a time")
    parser.add_argument("--folder", type=Path, help="keep the books there")
    asked = parser.parse_args(arguments)
    waiting = product(range(asked.first, asked.last + 1), asked.only)
    with tempfile.TemporaryDirectory(prefix="innocents-") as other:
        folder = asked.folder or Path(other)
        code = await asyncio.to_thread(copied, folder / "product")
        async with asyncio.TaskGroup() as group:
            lanes = [
                group.create_task(
                    _lane(folder / f"lane-{n}", code, waiting, n % 2 + 1, asked.freeze)
                )
                for n in range(asked.lanes)
            ]
    return summed(each for lane in lanes for each in lane.result())


async def _lane(
    folder: Path, code: Path, waiting: Iterator[tuple[int, str]], workers: int, freeze: bool
) -> list[Outcome]:
    tried = []
    stack = replace(STACK, workers=workers)
    async with Lane(folder) as lane, lane.site("sound", code, stack) as site:
        for seed, preset in waiting:
            name = f"{preset}-{seed}"
            scene = replace(stack, presets=(preset,), seed=str(seed))
            if freeze:
                chance = random.Random(name)  # noqa: S311 - repeatable on purpose
                scene = replace(scene, act=_freezing(chance))
            innocent = Mutant(name=name, breaks="nothing", scene=scene, harmless="it is sound")
            tried.append(shown(await tried_in(site, innocent, code)))
    return tried


def _freezing(chance: random.Random) -> Act:
    async def act(site: Site) -> None:
        """Stop one process of the stack for a moment, once the run is under way."""
        await site.jobs(chance.randint(1, 5))
        frozen = chance.choice(site.processes)
        frozen.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(chance.uniform(*FROZEN_SECONDS))
        finally:
            frozen.send_signal(signal.SIGCONT)

    return act


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
