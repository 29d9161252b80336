"""The parts of a proof: what each has to have done, and what is shown by it when it passes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from loadtest.prove.found import Found, chaos, one_run, two_builds
from loadtest.run.plan import LADDER

# By the names that chaos gives to what it strikes.
KILLED = ("workers", "semaphore", "callback", "api", "temporal")


@dataclass(frozen=True, slots=True)
class Part:
    """`read` judges what lies in its folder; raises Damaged where that can't be judged."""

    name: str
    shows: str
    read: Callable[[Path], Found]


PARTS = (
    Part(
        "ladder",
        "1 to 100 at once: none lost, doubled or paid twice",
        partial(one_run, stages=LADDER),
    ),
    Part(
        "faults",
        "the vendors' faults: every job succeeds, paid once",
        partial(one_run, stages=(20,), faults=True),
    ),
    Part(
        "kills",
        "every service of ours and the server killed (-9)",
        partial(chaos, killed=KILLED),
    ),
    Part("chaos", "kills, freezes, resets, cancels, drawn by the seed", chaos),
    Part("control", "the judge convicts a semaphore wrong on purpose", two_builds),
)
