"""A seed to a schedule of strikes: a pure function, so that a run can be repeated from its seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from random import Random


class Kind(StrEnum):
    """What is done: to a process, to the wire to Temporal, or to a workflow."""

    KILL = "kill"
    FREEZE = "freeze"
    RESTART = "restart"
    CUT = "cut"
    DELAY = "delay"
    DROP = "drop"
    CANCEL = "cancel"
    TERMINATE = "terminate"
    RESET = "reset"
    TIME_OUT = "time out"
    DELETE = "delete"
    START_AGAIN = "start again"
    POISON = "poison"
    ACTIVITY_RESET = "activity reset"
    ACTIVITY_FORGET = "activity reset without heartbeats"
    ACTIVITY_PAUSE = "activity pause"
    ACTIVITY_FAIL = "activity fail"
    ACTIVITY_COMPLETE = "activity complete"


class Stage(StrEnum):
    """Where some job has to be at the moment of the strike."""

    QUEUED = "queued"
    NEXT = "next"
    IMAGE = "image"
    SUBMITTED = "video submitted"
    WAITING = "waiting for the callback"
    STORING = "storing"
    IMAGE_HELD = "image submit held"
    VIDEO_HELD = "video submit held"


WORKERS, SEMAPHORE, API, RECEIVER = "workers", "semaphore", "api", "callback"
IMAGES, VIDEOS, SERVER, WIRE = "mock-comfyui", "mock-kling", "temporal", "wire"
WORKER = ("worker-1", "worker-2")
HOLDER, WAITER, SEMAPHORE_WORKFLOW = "holder", "waiter", "semaphore workflow"
ENDED = "ended job"
# So many wait when the server is killed or restarted.
BACKLOG = 50


@dataclass(frozen=True)
class Hit:
    """What is done to whom, and at which stage; without one, at any moment.

    `seconds`: a length that is not left to chance.
    """

    kind: Kind
    target: str
    stage: Stage | None = None
    backlog: int = 0
    seconds: float | None = None


@dataclass(frozen=True)
class Strike:
    """The `number`th hit of a run: not before `at` seconds, lasting `seconds` where it lasts."""

    number: int
    at: float
    hit: Hit
    seconds: float

    @property
    def lasts(self) -> float:
        """Seconds; 0 for what is done at once."""
        return self.seconds if self.hit.kind in LASTING or self.hit.stage in HELD else 0.0

    def __str__(self) -> str:
        hit = self.hit
        lasting = f" for {self.lasts:.1f} s" if self.lasts else ""
        where = f", at stage: {hit.stage}" if hit.stage else ""
        backlog = f", {hit.backlog} queued" if hit.backlog else ""
        return f"{hit.kind} {hit.target}{lasting}{where}{backlog}"


ON_AN_ACTIVITY = (
    Kind.ACTIVITY_RESET,
    Kind.ACTIVITY_FORGET,
    Kind.ACTIVITY_PAUSE,
    Kind.ACTIVITY_FAIL,
    Kind.ACTIVITY_COMPLETE,
)
# The stages at which a submit is held on a vendor's wire.
HELD = (Stage.IMAGE_HELD, Stage.VIDEO_HELD)
LASTING = (
    Kind.FREEZE,
    Kind.CUT,
    Kind.DELAY,
    Kind.DROP,
    Kind.ACTIVITY_PAUSE,
)


# Sometimes longer than every time-out of the product, mostly shorter.
LONGEST = 12.0
LENGTHS = (0.04, 0.12, 0.25, 0.5, 1.0)
# Longer than every one of them; and a hold in which a job's time certainly runs out.
FROZEN_LONG = 30.0
HELD_LONG = 8.0


def schedule(
    seed: int, *, seconds: float, deck: tuple[Hit, ...], pause: float, longest: float = LONGEST
) -> list[Strike]:
    """Strikes until the time is over; every hit of the deck comes once before any comes again."""
    draw = Random(seed)  # noqa: S311 - repeatable on purpose
    strikes: list[Strike] = []
    at = 0.0
    for number, hit in zip(count(1), _dealt(draw, deck)):
        at += draw.uniform(0.5, 1.5) * pause
        lasts = longest * draw.choice(LENGTHS) * draw.uniform(0.8, 1.2)
        if at > seconds:
            return strikes
        strikes.append(Strike(number, round(at, 3), hit, hit.seconds or round(lasts, 3)))
    raise AssertionError("the deck is empty")


def _dealt(draw: Random, deck: tuple[Hit, ...]) -> Iterator[Hit]:
    while deck:
        yield from draw.sample(deck, len(deck))


STRUCK = (*WORKER, WORKERS, SEMAPHORE, API, RECEIVER, IMAGES, VIDEOS)
# On the semaphore and on whole runs, with Temporal's own tools.
BY_OPERATORS = (
    Hit(Kind.ACTIVITY_FAIL, SEMAPHORE_WORKFLOW),
    Hit(Kind.ACTIVITY_COMPLETE, SEMAPHORE_WORKFLOW),
    Hit(Kind.DELETE, HOLDER, Stage.WAITING),
    Hit(Kind.DELETE, ENDED),
    Hit(Kind.START_AGAIN, ENDED),
    Hit(Kind.POISON, SEMAPHORE_WORKFLOW),
)
IN_CONTAINERS = (
    *(Hit(kind, target) for target in STRUCK for kind in (Kind.KILL, Kind.FREEZE)),
    Hit(Kind.RESTART, WORKERS),
    Hit(Kind.RESTART, SEMAPHORE),
    *(
        Hit(kind, target, stage)
        for stage in Stage
        if stage not in HELD
        for kind, target in (
            *((Kind.KILL, each) for each in (WORKERS, SEMAPHORE)),
            *((Kind.FREEZE, each) for each in WORKER),
        )
    ),
    Hit(Kind.KILL, API, Stage.QUEUED),
    Hit(Kind.KILL, IMAGES, Stage.IMAGE),
    Hit(Kind.KILL, VIDEOS, Stage.SUBMITTED),
    Hit(Kind.FREEZE, VIDEOS, Stage.WAITING),
    Hit(Kind.KILL, RECEIVER, Stage.WAITING),
    *(
        Hit(Kind.FREEZE, target, seconds=FROZEN_LONG)
        for target in (WORKER[0], WORKERS, SEMAPHORE, VIDEOS, SERVER)
    ),
    Hit(Kind.KILL, SERVER, backlog=BACKLOG),
    Hit(Kind.RESTART, SERVER, backlog=BACKLOG),
    Hit(Kind.FREEZE, SERVER),
    *(
        Hit(kind, target, stage)
        for kind in (Kind.CANCEL, Kind.TERMINATE, Kind.RESET)
        for target, stages in {
            WAITER: (Stage.QUEUED, Stage.NEXT),
            HOLDER: (Stage.IMAGE, Stage.WAITING),
        }.items()
        for stage in stages
    ),
    Hit(Kind.TERMINATE, HOLDER, Stage.STORING),
    Hit(Kind.TIME_OUT, HOLDER),
    Hit(Kind.TERMINATE, SEMAPHORE_WORKFLOW),
    Hit(Kind.TERMINATE, SEMAPHORE_WORKFLOW, Stage.NEXT),
    # With Temporal's own tools.
    *(
        Hit(kind, HOLDER, stage)
        for kind in ON_AN_ACTIVITY
        for stage in (Stage.IMAGE, Stage.WAITING)
    ),
    *BY_OPERATORS,
)
# The proxies are not between containers.
AS_PROCESSES = (
    *IN_CONTAINERS,
    *(Hit(kind, WIRE) for kind in (Kind.CUT, Kind.DELAY, Kind.DROP)),
    *(
        Hit(kind, target, stage)
        for stage in HELD
        for kind, targets in {
            Kind.KILL: (WORKERS, SEMAPHORE),
            Kind.CANCEL: (HOLDER,),
            Kind.TERMINATE: (HOLDER,),
            Kind.RESET: (HOLDER,),
        }.items()
        for target in targets
    ),
    Hit(Kind.TIME_OUT, HOLDER, Stage.VIDEO_HELD, seconds=HELD_LONG),
)
# Each part of the stack that must survive being killed, at a moment when it has something in hand.
KILLS = (
    Hit(Kind.KILL, WORKERS, Stage.IMAGE),
    Hit(Kind.KILL, WORKERS, Stage.WAITING),
    Hit(Kind.KILL, SEMAPHORE, Stage.NEXT),
    Hit(Kind.KILL, RECEIVER, Stage.WAITING),
    Hit(Kind.KILL, API, Stage.QUEUED),
    Hit(Kind.KILL, SERVER, backlog=12),
)
