"""Entry of `python -m tests.chaos`: 0 when no rule was broken, 1 otherwise, 2 for wrong usage."""

import argparse
import asyncio
import secrets
import sys
from pathlib import Path

from tests.chaos.run import ChaosPlan, run
from tests.chaos.schedule import AS_PROCESSES, IN_CONTAINERS
from tests.chaos.site import as_processes, in_containers

SITES = {"local": (as_processes, AS_PROCESSES), "docker": (in_containers, IN_CONTAINERS)}


def main(arguments: list[str]) -> int:
    """Run as asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--mode", choices=sorted(SITES), default="local")
    parser.add_argument("--reports", type=Path, default=Path("reports"))
    asked = parser.parse_args(arguments)
    make_site, deck = SITES[asked.mode]
    plan = ChaosPlan(seed=asked.seed, seconds=asked.minutes * 60, deck=deck)
    found = asyncio.run(run(plan, make_site, reports=asked.reports.resolve(), say=_say))
    return 1 if found.violations else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
