"""A proof's folder: each part is judged again by its files, and a verdict covers all of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from loadtest.books import seal as seals
from loadtest.books.raw import RUN, Damaged, RunFolder
from loadtest.books.seal import NAME, NONE
from loadtest.judge.judge import OVERLAP, Judgement, judge
from loadtest.run.plan import LADDER

PLAN, NOTED, RESULT, KILL = "plan.json", "parts.jsonl", "result.json", "kill"
# By the names that chaos gives to what it strikes.
KILLED = ("workers", "semaphore", "callback", "api", "temporal")
PASSED, FAILED, NOT_REACHABLE, INTERRUPTED = 0, 1, 3, 130


class _Noted(BaseModel):
    """What another program has written; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Plan(_Noted):
    """The plan of the proof."""

    mode: str
    seed: str
    workers: int
    speed: float
    command: str
    began_at: float


class Ending(_Noted):
    """How the command of a part ended; `reason` if it could not start."""

    name: str
    status: int
    reason: str
    began_at: float
    ended_at: float


class Strike(_Noted):
    at: float
    kind: str
    target: str
    strike: str


class _Violation(_Noted):
    rule: str
    who: str
    text: str


class _Result(_Noted):
    """What the chaos run itself has found, which also asks workflows and semaphores."""

    violations: list[_Violation]


# Yields what is wrong with a part, beside its judged run; the path is the run's.
Check = Callable[[Path, Judgement], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Part:
    """`place`: where its one run is, below its folder."""

    name: str
    shows: str
    check: Check
    place: str = "*"


def load_test(
    _: Path, run: Judgement, *, stages: tuple[int, ...], faults: bool = False
) -> Iterator[str]:
    """Check the stages, and with `faults` that some have fired."""
    if tuple(run.run["plan"]["stages"]) != stages:
        yield f"these are not the stages {', '.join(map(str, stages))}"
    if faults and not any(job.faults for job in run.books.jobs):
        yield "no fault fired"


def chaos(path: Path, run: Judgement, *, killed: tuple[str, ...] = ()) -> Iterator[str]:
    """Check the rules of chaos, and that each target of `killed` was killed."""
    result = _Result.model_validate_json((path / RESULT).read_bytes())
    yield from (f"{each.rule}: {each.who}: {each.text}" for each in result.violations)
    struck = strikes(run)
    dead = {strike.target for strike in struck if strike.kind == KILL}
    yield from (f"{target} was not killed" for target in killed if target not in dead)
    if not struck or not run.books.jobs:
        yield "nothing was struck, or there was no job"


def control(path: Path, _: Judgement) -> Iterator[str]:
    """Check that the wrong build, beside the sound one, is convicted of two jobs at once."""
    wrong = judge(RunFolder.open(_run_at(path.parents[3], "lane-*/two-holders/reports/*")))
    yield from _unsealed(wrong)
    if wrong.passed or OVERLAP not in {finding.rule for finding in wrong.findings}:
        yield "the wrong build was not convicted of running two jobs at once"


def strikes(run: Judgement) -> tuple[Strike, ...]:
    return TypeAdapter(tuple[Strike, ...]).validate_python(run.books.struck)


PARTS = (
    Part(
        "ladder",
        "1 to 100 at once: none lost, doubled or paid twice",
        partial(load_test, stages=LADDER),
    ),
    Part(
        "faults",
        "the vendors' faults: every job succeeds, paid once",
        partial(load_test, stages=(20,), faults=True),
    ),
    Part("kills", "every service and the server killed (-9)", partial(chaos, killed=KILLED)),
    Part("chaos", "kills, freezes, resets, cancels, drawn by the seed", chaos),
    Part(
        "control",
        "the judge convicts a semaphore wrong on purpose",
        control,
        "lane-*/sound-*/reports/*",
    ),
)


class Verdict(StrEnum):
    """The verdict of a part."""

    PASSED = "passed"
    FAILED = "failed"
    BROKEN_OFF = "broken off"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A part, its judged run, if it can be judged, and every reason why it does not pass."""

    part: Part
    verdict: Verdict
    headline: str
    reasons: tuple[str, ...] = ()
    status: int = 0
    seconds: float = 0.0
    run: Judgement | None = field(default=None, repr=False)
    struck: tuple[Strike, ...] = ()
    report: str = ""
    """The run's own report, from the proof's folder."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The whole; `broken` lists the changes since its seal."""

    path: Path
    plan: Plan
    outcomes: tuple[Outcome, ...]
    root: str
    broken: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def passed(self) -> bool:
        """True if each part has passed, and the proof is sealed and unchanged."""
        whole = self.root != NONE and not self.broken
        return whole and all(o.verdict is Verdict.PASSED for o in self.outcomes)

    @property
    def status(self) -> int:
        """The exit status; 3 only if nothing failed except that a stack was not reachable."""
        if self.of(Verdict.BROKEN_OFF):
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
            said.append(f"  {each.part.name}: {each.verdict}: {each.headline}")
            said += [f"    {reason}" for reason in each.reasons[:3]]
        said += [f"  changed since the end: {text}" for text in self.broken]
        return [*said, f"report: {self.path / 'report.html'}", f"seal: {self.root}"]


def read(path: Path, *, seal: bool = False) -> Proof:
    """Judge a proof's folder, after sealing it if this is its end; raise Damaged if it holds no
    proof."""
    folder = RunFolder(path)
    try:
        plan = Plan.model_validate(folder.read(PLAN))
    except ValidationError:
        raise Damaged(f"{folder.path} holds no proof (raw/{PLAN} is missing or damaged)") from None
    if seal:
        seals.write(folder, seals.OF_PROOF)
    endings, damaged = {}, 0
    for row in folder.rows(NOTED):
        try:
            ending = Ending.model_validate(row)
        except ValidationError:
            damaged += 1
        else:
            endings[ending.name] = ending
    damaged += folder.torn.get(NOTED, 0)
    torn = (f"{NOTED}: {damaged} damaged lines",) if damaged else ()
    sealed = seals.check(folder, seals.OF_PROOF)
    outcomes = tuple(_outcome(part, endings.get(part.name), path) for part in PARTS)
    return Proof(path, plan, outcomes, sealed.root, sealed.broken + torn)


def _outcome(part: Part, ending: Ending | None, path: Path) -> Outcome:
    """Judge a part; what can't be judged is a reason as well."""
    if ending is None:
        return Outcome(part, Verdict.NOT_RUN, "was not run, or not to its end")
    reasons = [ending.reason] if ending.reason else []
    run: Judgement | None = None
    struck: tuple[Strike, ...] = ()
    headline, report = "could not be judged", ""
    try:
        place = _run_at(path / part.name, part.place)
        judged = judge(RunFolder.open(place))
        unmet = [] if judged.passed else judged.reasons or [judged.headline]
        reasons += [*unmet, *_unsealed(judged), *part.check(place, judged)]
        run, headline, struck = judged, judged.headline, strikes(judged)
        report = (place / "report.html").relative_to(path).as_posix()
    except ValidationError as error:
        reasons.append(f"what it noted is damaged: {error.error_count()} mistakes")
    except (Damaged, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reasons.append(
            str(error) if isinstance(error, Damaged) else f"{type(error).__name__}: {error}"
        )
    if ending.status and not reasons:
        reasons.append(f"its command ended with {ending.status}")
    verdict = Verdict.FAILED if reasons else Verdict.PASSED
    if ending.status == INTERRUPTED:
        verdict = Verdict.BROKEN_OFF
    seconds = max(0.0, ending.ended_at - ending.began_at)
    return Outcome(
        part, verdict, headline, tuple(reasons), ending.status, seconds,
        run=run, struck=struck, report=report,
    )  # fmt: skip


def _run_at(part: Path, place: str) -> Path:
    """Return the one run at a place; raise Damaged for any other number."""
    there = [path for path in part.glob(place) if not path.is_symlink()]
    runs = [path for path in there if (path / "raw" / RUN).is_file()]
    if len(runs) != 1:
        raise Damaged(f"left {len(runs)} runs at {place} where there should be 1")
    return runs[0]


def _unsealed(run: Judgement) -> Iterator[str]:
    books, name = run.books, run.run.get("run_id")
    if books.seal.root == NONE:
        yield f"{name} is not sealed"
    yield from (f"{name}: {text}" for text in books.seal.broken)
    yield from (f"{name}: {file}: {n} damaged lines" for file, n in sorted(books.torn.items()))
    if not books.done:
        yield f"{name} did not come to its end: {run.run.get('why')}"
