"""What happens in a history, drawn from its seed; any part of it can be left out."""

import json
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.simulation.world import Chance

STEPS = ("image", "video", "sound")
# Attempts that a plan has something to say about.
ATTEMPTS = 4
SALT = 0x5EED


@dataclass(frozen=True, repr=False)
class Quirk:
    """How a vendor treats one generation; times are in seconds.

    `wire`: before its first submit arrives; `thinks`: until the vendor knows of it; `reply`: what
    becomes of the first answer; `runs`: until it ends; `missing`: from when on, and for how long,
    the vendor denies that it knows it; `unaddressed`: how long after its end it does not say where
    the result is; `callback`: how late it comes, None for never.
    """

    wire: float = 0.0
    thinks: float = 0.0
    reply: str = "given"
    runs: float = 1.0
    fails: bool = False
    missing: tuple[float, float] | None = None
    unaddressed: float = 0.0
    callback: float | None = 0.02
    callbacks: int = 1

    def __repr__(self) -> str:
        return f"quirk {differences(self, Quirk())}"


def differences(value: Any, plain: Any) -> dict[str, Any]:
    """The fields of a dataclass that are not as in a plain one."""
    fields = {name: getattr(value, name) for name in value.__dataclass_fields__}
    return {name: found for name, found in fields.items() if found != getattr(plain, name)}


@dataclass(frozen=True)
class JobPlan:
    """One job: when it is submitted, and how the vendors treat its attempts at each step.

    A job of the pipeline `sounds` has one step, whose attempts are treated as those of an image.
    """

    at: float
    priority: int = 3
    degrades: bool = False
    image: tuple[Quirk, ...] = (Quirk(),) * ATTEMPTS
    video: tuple[Quirk, ...] = (Quirk(),) * ATTEMPTS
    pipeline: str = "genvideo"


class Kind(StrEnum):
    CANCEL = "cancel"
    TERMINATE = "terminate"
    TIME_OUT = "time_out"
    RESET = "reset"
    LOSE = "lose"
    RESET_ACTIVITY = "reset_activity"
    PAUSE_ACTIVITY = "pause_activity"
    FAIL_ACTIVITY = "fail_activity"
    COMPLETE_ACTIVITY = "complete_activity"
    DELETE = "delete"
    START_AGAIN = "start_again"
    KILL_WORKER = "kill_worker"
    FREEZE_WORKER = "freeze_worker"
    KILL_SEMAPHORE = "kill_semaphore"
    FREEZE_SEMAPHORE = "freeze_semaphore"
    TERMINATE_SEMAPHORE = "terminate_semaphore"
    RESET_SEMAPHORE = "reset_semaphore"
    LOSE_SEMAPHORE = "lose_semaphore"
    FAIL_WATCH = "fail_watch"
    DELETE_SEMAPHORE = "delete_semaphore"
    POISON = "poison"
    SKEW = "skew"
    RESTORE = "restore"
    PAUSE = "pause"
    LIMIT = "limit"
    VENDOR_AWAY = "vendor_away"
    SERVER_AWAY = "server_away"


@dataclass(frozen=True)
class Strike:
    """One disturbance: `delay` seconds after `mark` is first reached, or after the beginning.

    `job`: which one; `share`: how far into what can be chosen (a worker, a task to go back to);
    `seconds`: how long it lasts.
    """

    kind: Kind
    mark: str = ""
    delay: float = 0.0
    job: int = 0
    share: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Options:
    """Settings of the system, and how much of what is drawn.

    `overtakes`: the share of workflow tasks that a query overtakes; the run then sees one by one
    what a replay sees together, unless its worker forgets it. `sounds`: the share of jobs
    of the other pipeline, which has a worker of its own and the same slot.
    """

    jobs: int = 3
    strikes: int = 4
    limit: int = 1
    gates: str = ""
    max_history: int = 2000
    image_seconds: float = 300.0
    video_seconds: float = 900.0
    job_seconds: float = 6 * 3600.0
    drain_seconds: float = 3600.0
    give_up_seconds: float = 4 * 3600.0
    forgets: float = 0.05
    loses: float = 0.01
    odd: float = 0.35
    slow: float = 0.01
    overtakes: float = 0.0
    sounds: float = 0.0
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    seed: int
    options: Options
    jobs: tuple[JobPlan | None, ...]
    strikes: tuple[Strike, ...] = ()

    def present(self) -> list[tuple[int, JobPlan]]:
        """The jobs that were not left out, by their numbers."""
        return [(index, job) for index, job in enumerate(self.jobs) if job is not None]


JOB_KINDS = (
    Kind.CANCEL,
    Kind.TERMINATE,
    Kind.TIME_OUT,
    Kind.RESET,
    Kind.LOSE,
    Kind.RESET_ACTIVITY,
    Kind.PAUSE_ACTIVITY,
    Kind.FAIL_ACTIVITY,
    Kind.COMPLETE_ACTIVITY,
    Kind.DELETE,
    Kind.START_AGAIN,
)


def drawn(seed: int, options: Options | None = None) -> Plan:
    """The plan of a seed; without options they are drawn, too."""
    chance = Chance(seed ^ SALT)
    chosen = options or _options(chance)
    jobs = tuple(_job(chance, chosen) for _ in range(chosen.jobs))
    strikes: list[Strike] = []
    for _ in range(chosen.strikes):
        strike = _for_its_pipeline(_strike(chance, chosen), jobs)
        if strikes and chance.often("burst", 0.35):
            strike = _close_to(strikes[-1], strike, chance)
        strikes.append(strike)
    return Plan(seed, chosen, jobs, tuple(strikes))


def _for_its_pipeline(strike: Strike, jobs: tuple[JobPlan, ...]) -> Strike:
    """A job of the other pipeline comes by the places of its own step."""
    near, _, place = strike.mark.partition(" ")
    if not near.isdecimal() or jobs[int(near)].pipeline == "genvideo":
        return strike
    place = re.sub("request_video|collect_video|gen_image", "gen_sound", place)
    return replace(strike, mark=f"{near} {re.sub('image|video', 'sound', place)}")


def _close_to(before: Strike, strike: Strike, chance: Chance) -> Strike:
    """One disturbance is often not over when the next one comes, to the same job."""
    delay = before.delay + chance.between("gap", 0.0, chance.pick("within", (0.05, 0.6, 3.0)))
    return replace(strike, mark=before.mark, delay=round(delay, 3), job=before.job)


def _options(chance: Chance) -> Options:
    gated = chance.often("gated", 0.12)
    return Options(
        strikes=chance.number("strikes", 0, 5),
        limit=2 if gated or chance.often("limit", 0.1) else 1,
        gates="image,video" if gated else "",
        max_history=chance.pick("max_history", (30, 60, 2000)),
        image_seconds=chance.pick("image_seconds", (300.0, 300.0, 300.0, 4.0)),
        video_seconds=chance.pick("video_seconds", (900.0, 900.0, 900.0, 6.0)),
        job_seconds=chance.pick("job_seconds", (21600.0, 21600.0, 21600.0, 8.0)),
        give_up_seconds=chance.pick("give_up_seconds", (14400.0, 14400.0, 12.0)),
        forgets=chance.pick("forgets", (0.0, 0.02, 0.2)),
        loses=chance.pick("loses", (0.0, 0.0, 0.02)),
        odd=chance.pick("oddity", (0.0, 0.1, 0.35)),
        slow=chance.pick("slow locals", (0.0, 0.0, 0.02)),
        sounds=chance.pick("sounds", (0.0, 0.3, 0.6)),
    )


def _job(chance: Chance, options: Options) -> JobPlan:
    return JobPlan(
        at=round(chance.between("at", 0.0, chance.pick("spread", (0.05, 1.0, 6.0))), 3),
        priority=3 if chance.often("usual", 0.8) else chance.number("priority", 1, 5),
        degrades=chance.often("degrades", 0.2),
        image=tuple(_quirk(chance, "image", options) for _ in range(ATTEMPTS)),
        video=tuple(_quirk(chance, "video", options) for _ in range(ATTEMPTS)),
        pipeline="sounds" if chance.often("other pipeline", options.sounds) else "genvideo",
    )


def _quirk(chance: Chance, step: str, options: Options) -> Quirk:
    odd = chance.often("odd", options.odd)
    quirk = Quirk(runs=round(chance.between("runs", 0.3, 3.0), 2))
    if not odd:
        return quirk
    if chance.often("is slow", 0.2):
        quirk = replace(quirk, runs=round(chance.between("slow", 5.0, 20.0), 2))
    return replace(
        quirk,
        wire=_some(chance, "wire", 0.25, 3.0),
        thinks=_some(chance, "thinks", 0.25, 4.0),
        reply=chance.pick("reply", ("given",) * 6 + ("lost", "refused", "busy", "late")),
        fails=chance.often("fails", 0.2),
        missing=(round(chance.between("from", 0.3, 2.0), 2), _some(chance, "for", 0.9, 9.0))
        if chance.often("missing", 0.12)
        else None,
        unaddressed=_some(chance, "unaddressed", 0.1, 20.0),
        callback=None if chance.often("silent", 0.2) else _some(chance, "callback", 0.5, 4.0),
        callbacks=2 if chance.often("twice", 0.1) else 1,
    )  # fmt: skip


def _some(chance: Chance, name: str, share: float, most: float) -> float:
    """Mostly nothing, else up to `most`."""
    return round(chance.between(name, 0.02, most), 2) if chance.often(f"any {name}", share) else 0.0


MARKS = (
    "tried gen_image",
    "tried gen_image",
    "tried request_video",
    "tried collect_video",
    "tried drain_job",
    "arrived image",
    "accepted image",
    "ended image",
    "arrived video",
    "accepted video",
    "ended video",
    "closed",
)
LAST_TASK = 16


def _strike(chance: Chance, options: Options) -> Strike:
    kinds = [Kind(kind) for kind in options.kinds] or list(Kind)
    kind = chance.pick("kind", kinds)
    if kind not in JOB_KINDS and kind in kinds and chance.often("rather a job", 0.35):
        kind = chance.pick("job kind", [each for each in JOB_KINDS if each in kinds] or kinds)
    job = chance.number("job", 0, options.jobs - 1)
    mark, delay = "", round(chance.between("delay", 0.0, 12.0), 3)
    if chance.often("marked", 0.7):
        near = job if chance.often("own", 0.7) else chance.number("near", 0, options.jobs - 1)
        name = chance.pick("mark", MARKS)
        if chance.often("task", 0.35):
            name = f"task {chance.number('task', 1, LAST_TASK)}"
        mark = f"{near} {name}"
        delay = round(chance.between("delay", 0.0, chance.pick("reach", (0.03, 0.3, 3.0))), 3)
    return Strike(
        kind=kind,
        mark=mark,
        delay=delay,
        job=job,
        share=round(chance.share("share"), 3),
        seconds=round(chance.between("seconds", 0.3, 6.0), 2),
    )


class Rule(StrEnum):
    """A violation carries the name of what it breaks."""

    AT_ONCE = "no more at a vendor at once than the limit"
    INSIDE = "no job begins while another one is between its first generation and its end"
    HELD = "the semaphore never grants beyond its limit"
    PAID_ONCE = "one paid generation per attempt; another attempt only after the vendor's word"
    AFTER_END = "nothing is accepted for a job that has ended"
    CLEAR = "nothing runs at a vendor when a job's own code has ended it"
    VERSIONS = "a version of a record has one content"
    PERCENT = "a percent does not fall within an attempt"
    WHOLE = "the versions of a record follow one another, and its fields are those of the last one"
    KNOWN = "a job's code knows the record that it has written"
    RECORDED = "each paid generation is in the record"
    ALL_END = "every job ends"
    HEEDED = "a job that has heard of its cancellation does not go on to its end"
    RECORD_ENDS = "the record of a closed job shows its end"
    NOBODY_HELD = "nobody holds or waits at the end"
    ORDER = "first come, first served"
    TASKS = "no workflow task fails"
    REPLAYS = "every history replays"
    HANDLERS = "no run ends over the head of a handler"
    ERRORS = "no activity fails with anything but our errors"


@dataclass(frozen=True)
class Violation:
    rule: Rule
    at: float
    text: str

    def __str__(self) -> str:
        return f"{self.rule.name} at {self.at:.3f}: {self.text}"


FILE = Path(__file__).with_name("seeds.jsonl")


@dataclass(frozen=True)
class Stored:
    """A seed, its options (drawn where None), the rule that it broke, and how."""

    seed: int
    options: Options | None
    rule: str
    showed: str

    def plan(self) -> Plan:
        # They are older than the second pipeline.
        options = self.options or replace(_options(Chance(self.seed ^ SALT)), sounds=0.0)
        return drawn(self.seed, options)


def stored() -> list[Stored]:
    lines = FILE.read_text(encoding="utf-8").splitlines()
    return [_read(json.loads(line)) for line in lines if line.strip()]


def _read(line: dict[str, object]) -> Stored:
    given = line.pop("options", None)
    options = None
    if isinstance(given, dict):
        options = Options(**{**given, "kinds": tuple(given.get("kinds", ()))})
    return Stored(**line, options=options)  # type: ignore[arg-type]
