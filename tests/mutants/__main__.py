"""Entry of `python -m tests.mutants`: 0 when the judge says of each mutant what it should, else 1.

An interrupt ends it with 130, wrong usage with 2.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from tests.mutants import of_the_api, of_the_semaphore, of_the_worker
from tests.mutants.mutant import Mutant
from tests.mutants.scenes import SCENES
from tests.mutants.trial import Outcome, judged_again, outcomes

# Each scene is also run by the product as it is, against which nothing may be found.
SOUND = tuple(
    Mutant(
        name=f"sound-{name.replace(' ', '-').replace(',', '')}",
        breaks="nothing",
        scene=scene,
        harmless="nothing was changed",
    )
    for name, scene in SCENES.items()
)
MUTANTS = (*of_the_api.MUTANTS, *of_the_semaphore.MUTANTS, *of_the_worker.MUTANTS)
EVERY = {mutant.name: mutant for mutant in (*SOUND, *MUTANTS)}
# Of an outcome that is not as expected, so many findings are shown.
SHOWN = 12
FAILED, INTERRUPTED = 1, 130


def main(arguments: list[str]) -> int:
    """Try what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--only", default="", metavar="NAME,NAME", help="these mutants, not all")
    parser.add_argument("--folder", type=Path, help="keep the books of the runs there")
    parser.add_argument("--again", action="store_true", help="judge the books that are there again")
    asked = parser.parse_args(arguments)
    names = [name for name in asked.only.split(",") if name]
    if unknown := sorted(set(names) - EVERY.keys()):
        parser.error(f"no such mutant: {', '.join(unknown)}; there are {', '.join(EVERY)}")
    mutants = [EVERY[name] for name in names or EVERY]
    if asked.again:
        return summed(map(shown, judged_again(mutants, asked.folder)))
    try:
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            return asyncio.run(_tried(mutants, asked.folder or Path(folder)))
    except KeyboardInterrupt:
        return INTERRUPTED


async def _tried(mutants: Iterable[Mutant], folder: Path) -> int:
    began = time.monotonic()
    seen = [shown(outcome) async for outcome in outcomes(mutants, folder)]
    _say(f"tried for {time.monotonic() - began:.0f} s")
    return summed(seen)


def shown(outcome: Outcome) -> Outcome:
    _say(described(outcome))
    return outcome


def summed(seen: Iterable[Outcome]) -> int:
    """The exit status, once it is said how many were as expected, and which were not."""
    every = list(seen)
    wrong = [each.mutant.name for each in every if not each.is_as_expected]
    _say(f"{len(every) - len(wrong)} of {len(every)} as expected")
    _say("".join(f"  {name}\n" for name in wrong))
    return FAILED if wrong else 0


def described(outcome: Outcome) -> str:
    """The outcome in a line; if it is not as expected, with what the judge found instead."""
    mutant = outcome.mutant
    expected = f"harmless: {mutant.harmless}"
    if not mutant.harmless:
        expected = f"{mutant.rule} convicts {', '.join(mutant.jobs)}: {mutant.breaks}"
    if outcome.is_as_expected:
        return f"ok   {mutant.name}: {expected}"
    lines = [f"BAD  {mutant.name}: expected was: {expected}"]
    lines += [f"       {each.rule}: {each.job}: {each.message}" for each in outcome.found[:SHOWN]]
    return "\n".join(lines if outcome.found else [*lines, "       the judge found nothing"])


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
