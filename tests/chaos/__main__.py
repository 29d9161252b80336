"""Entry of `python -m tests.chaos`: 0 when no rule was broken, 1 otherwise, 2 for wrong usage.

An interrupt ends it with 130, once its stack is taken away.
"""

import argparse
import asyncio
import logging
import secrets
import sys
from pathlib import Path

from loadtest.books.raw import RunFolder
from tests.chaos.books import Evidence
from tests.chaos.judgement import violations
from tests.chaos.run import ChaosPlan, run
from tests.chaos.schedule import AS_PROCESSES, IN_CONTAINERS, KILLS
from tests.chaos.site import as_processes, in_containers

SITES = {"local": (as_processes, AS_PROCESSES), "docker": (in_containers, IN_CONTAINERS)}
# So long that most of what was killed is back before the next kill.
KILLS_PAUSE = 8.0
INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--mode", choices=("auto", *SITES), default="local")
    parser.add_argument("--deck", choices=("all", "kills"), default="all")
    parser.add_argument("--reports-dir", type=Path, default=Path("reports"))
    parser.add_argument("--judge", type=Path, metavar="FOLDER", help="judge a run again")
    asked = parser.parse_args(arguments)
    if asked.judge is not None:
        return _judge(RunFolder.open(asked.judge))
    # Only the connections of processes can be cut.
    mode = "local" if asked.mode == "auto" else asked.mode
    make_site, deck = SITES[mode]
    plan = ChaosPlan(seed=asked.seed, seconds=asked.minutes * 60, deck=deck, mode=mode)
    if asked.deck == "kills":
        plan = ChaosPlan.once(asked.seed, KILLS, pause=KILLS_PAUSE, mode=mode)
    # With a traceback, the SDK logs each invalid signal that a replayed run dropped.
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
    try:
        found = asyncio.run(run(plan, make_site, reports=asked.reports_dir.resolve(), say=_say))
    except KeyboardInterrupt:
        return INTERRUPTED
    return 1 if found.violations else 0


def _judge(folder: RunFolder) -> int:
    """The violations in the books of a run that is over."""
    broken = violations(Evidence.of(folder))
    for violation in broken:
        _say(f"{violation.rule}: {violation.who}: {violation.text}")
    _say(f"{len(broken)} violations")
    return 1 if broken else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
