"""A proof's folder read: its parts, each part's outcome, and the verdict over all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from loadtest.books import seal as seals
from loadtest.books.raw import Damaged, RunFolder
from loadtest.books.seal import NAME, NONE
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
        "every service and the server killed (-9)",
        partial(chaos, killed=KILLED),
    ),
    Part("chaos", "kills, freezes, resets, cancels, drawn by the seed", chaos),
    Part("control", "the judge convicts a semaphore wrong on purpose", two_builds),
)


PLAN, NOTED = "plan.json", "parts.jsonl"
PASSED, FAILED, NOT_REACHABLE, INTERRUPTED = 0, 1, 3, 130


class Verdict(StrEnum):
    """What became of a part."""

    PASSED = "passed"
    FAILED = "failed"
    BROKEN_OFF = "broken off"
    NOT_RUN = "not run"


class Plan(BaseModel):
    """What the proof was to be."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    mode: str
    seed: str
    workers: int
    speed: float
    command: str
    began_at: float


class Ending(BaseModel):
    """How the command behind a part ended; `reason` where it could not even be begun."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    status: int
    reason: str
    began_at: float
    ended_at: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """One part, and why it does not pass."""

    part: Part
    verdict: Verdict
    found: Found
    reasons: tuple[str, ...] = ()
    status: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Proof:
    """All of it; `broken` is what was changed since the end, which its seal is the sign of."""

    path: Path
    plan: Plan
    outcomes: tuple[Outcome, ...]
    root: str
    broken: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """That of its folder."""
        return self.path.resolve().name

    @property
    def passed(self) -> bool:
        """Whether every part did, and it is sealed, and nothing was changed since."""
        whole = self.root != NONE and not self.broken
        return whole and all(o.verdict is Verdict.PASSED for o in self.outcomes)

    @property
    def status(self) -> int:
        """The exit status; that the stack was not reachable, if nothing worse is to be reported."""
        if any(o.verdict is Verdict.BROKEN_OFF for o in self.outcomes):
            return INTERRUPTED
        bad = {o.status for o in self.outcomes if o.verdict is not Verdict.PASSED}
        if bad == {NOT_REACHABLE} and not self.broken:
            return NOT_REACHABLE
        return PASSED if self.passed else FAILED

    def of(self, verdict: Verdict) -> list[str]:
        """Return the names of the parts with this verdict."""
        return [o.part.name for o in self.outcomes if o.verdict is verdict]

    @property
    def headline(self) -> str:
        """The answer in a line."""
        if self.passed:
            return f"PASS: all {len(self.outcomes)} parts passed"
        said = [
            f"{', '.join(names)} {verdict}"
            for verdict in (Verdict.FAILED, Verdict.BROKEN_OFF, Verdict.NOT_RUN)
            if (names := self.of(verdict))
        ]
        said += ["files were changed since the end"] if self.broken else []
        if not said:
            said = [f"it is not sealed: it was not brought to its end, or {NAME} was removed"]
        return f"FAIL: {'; '.join(said)}"

    @property
    def lines(self) -> list[str]:
        """What the terminal shows: the verdict, each part with its first reasons, the seal."""
        said = [self.headline]
        for each in self.outcomes:
            said.append(f"  {each.part.name}: {each.verdict}: {each.found.headline}")
            said += [f"    {reason}" for reason in each.reasons[:3]]
        said += [f"  changed since the end: {text}" for text in self.broken]
        return [*said, f"report: {self.path / 'report.html'}", f"seal: {self.root}"]


def read(path: Path, *, seal: bool = False) -> Proof:
    """Return what a proof's folder says now; seal it before, if this is its end.

    Raises Damaged where the folder holds no proof.
    """
    folder = RunFolder(path)
    plan = _plan(folder)
    if seal:
        seals.write(folder, seals.OF_PROOF)
    endings, damaged = _endings(folder)
    torn = (f"{NOTED}: {damaged} damaged lines",) if damaged else ()
    sealed = seals.check(folder, seals.OF_PROOF)
    return Proof(
        path=path,
        plan=plan,
        outcomes=tuple(_outcome(part, endings.get(part.name), path) for part in PARTS),
        root=sealed.root,
        broken=sealed.broken + torn,
    )


def _plan(folder: RunFolder) -> Plan:
    try:
        return Plan.model_validate(folder.read(PLAN))
    except ValidationError:
        raise Damaged(f"{folder.path} holds no proof (raw/{PLAN} is missing or damaged)") from None


def _endings(folder: RunFolder) -> tuple[dict[str, Ending], int]:
    """Return the endings by part, and how many lines can't be read as one."""
    found, damaged = {}, 0
    for row in folder.rows(NOTED):
        try:
            ending = Ending.model_validate(row)
        except ValidationError:
            damaged += 1
        else:
            found[ending.name] = ending
    return found, damaged + folder.torn.get(NOTED, 0)


def _outcome(part: Part, ending: Ending | None, path: Path) -> Outcome:
    if ending is None:
        return Outcome(part, Verdict.NOT_RUN, Found("was not run, or not to its end"))
    found = _found(part, path / part.name)
    reasons = [*filter(None, [ending.reason]), *found.reasons]
    if ending.status and not reasons:
        reasons.append(f"its command ended with {ending.status}")
    if ending.status == INTERRUPTED:
        verdict = Verdict.BROKEN_OFF
    else:
        verdict = Verdict.FAILED if reasons else Verdict.PASSED
    seconds = max(0.0, ending.ended_at - ending.began_at)
    return Outcome(part, verdict, found, tuple(reasons), ending.status, seconds)


def _found(part: Part, folder: Path) -> Found:
    """Return what the part left; what can't be judged is a reason like any other."""
    try:
        return part.read(folder)
    except (Damaged, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        said = str(error) if isinstance(error, Damaged) else f"{type(error).__name__}: {error}"
        return Found("could not be judged", reasons=(said,))
