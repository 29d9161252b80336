"""What one part has left behind, read by the judge that the part is held against itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from loadtest.books import seal
from loadtest.books.facts import mapping
from loadtest.books.model import Books
from loadtest.books.raw import CHAOS, RUN, Damaged, RunFolder
from loadtest.judge.judge import CHARGED_TWICE, OVERLAP, Judgement, judge

RESULT, KILL = "result.json", "kill"


@dataclass(frozen=True, slots=True)
class Found:
    """The numbers of a part, and every reason why it does not pass; none is needed for that."""

    headline: str = "left nothing"
    reasons: tuple[str, ...] = ()
    report: str = ""
    """Its own report, from the folder of the part."""
    jobs: int = 0
    succeeded: int = 0
    faults: int = 0
    strikes: tuple[str, ...] = ()
    kills: int = 0
    paid: int = 0
    paid_twice: int = 0
    violations: int = 0
    commands: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()
    """On what it was made, by name."""


def one_run(part: Path, *, stages: tuple[int, ...], faults: bool = False) -> Found:
    """Return a load test of these stages; with `faults`, some have to have fired."""
    path = _run(part)
    judged = judge(RunFolder.open(path))
    reasons = []
    if tuple(judged.run["plan"]["stages"]) != stages:
        reasons.append(f"these are not the stages {', '.join(map(str, stages))}")
    if faults and not any(job.faults for job in judged.books.jobs):
        reasons.append("no fault fired")
    return _of(judged, reasons, report=f"{path.name}/report.html")


def two_builds(part: Path) -> Found:
    """Read the product as it is, which passes, and a build that is convicted of two at once."""
    ours = _run(part, "lane-*/sound-*/reports/*")
    wrong = _run(part, "lane-*/two-holders/reports/*")
    sound, broken = judge(RunFolder.open(ours)), judge(RunFolder.open(wrong))
    reasons = [*_unsealed(broken.books)]
    if broken.passed or OVERLAP not in {finding.rule for finding in broken.findings}:
        reasons.append("the wrong build was not convicted of running two jobs at once")
    headline = f"ours: {sound.headline}; the wrong build: {broken.headline}"
    return _of(sound, reasons, report=f"{ours.relative_to(part)}/report.html", headline=headline)


def chaos(part: Path, *, killed: tuple[str, ...] = ()) -> Found:
    """Judge a chaos run as any other; each target of `killed` has to have been killed."""
    path = _run(part)
    judged, result = judge(RunFolder.open(path)), _result(path)
    try:
        struck = [_Strike.model_validate(row) for row in judged.books.struck]
    except ValidationError as error:
        raise Damaged(f"{CHAOS} is damaged: {error.error_count()} mistakes") from None
    dead = {strike.target for strike in struck if strike.kind == KILL}
    reasons = [f"{v.rule}: {v.who}: {v.text}" for v in result.violations]
    reasons += [f"{target} was not killed" for target in killed if target not in dead]
    if not struck or not judged.books.jobs:
        reasons.append("nothing was struck, or there was no job")
    return _of(
        judged,
        reasons,
        report=f"{path.name}/report.html",
        headline=f"{len(struck)} strikes; {judged.headline}",
        strikes=tuple(f"{strike.at:.1f} s: {strike.strike}" for strike in struck),
        kills=sum(strike.kind == KILL for strike in struck),
        violations=len(result.violations),
    )


class _Told(BaseModel):
    """What another program has written; what isn't asked for is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Violation(_Told):
    rule: str
    who: str
    text: str


class _Result(_Told):
    violations: list[_Violation]


class _Strike(_Told):
    at: float
    kind: str
    target: str
    strike: str


def _result(path: Path) -> _Result:
    """Return what the chaos run itself found, which also asks workflows and semaphores."""
    try:
        return _Result.model_validate_json((path / RESULT).read_bytes())
    except ValidationError as error:
        raise Damaged(f"{RESULT} is damaged: {error.error_count()} mistakes") from None


def _run(part: Path, place: str = "*") -> Path:
    """Return the run of a part, which has to have left one at this place."""
    there = [path for path in part.glob(place) if not path.is_symlink()]
    runs = [path for path in there if (path / "raw" / RUN).is_file()]
    if len(runs) != 1:
        raise Damaged(f"left {len(runs)} runs at {place} where there should be 1")
    return runs[0]


def _unsealed(books: Books) -> Iterator[str]:
    name = books.run.get("run_id")
    if books.seal.root == seal.NONE:
        yield f"{name} is not sealed"
    yield from (f"{name}: {text}" for text in books.seal.broken)
    yield from (f"{name}: {file}: {n} damaged lines" for file, n in sorted(books.torn.items()))
    if not books.done:
        yield f"{name} did not come to its end: {books.run.get('why')}"


def _of(judged: Judgement, reasons: list[str], **more: Any) -> Found:
    """Return the numbers of a judged run. Of one that passed, its own reasons are only told."""
    books, where = judged.books, judged.run.get("environment")
    unmet = [] if judged.passed else judged.reasons or [judged.headline]
    told: dict[str, Any] = {"headline": judged.headline, "violations": len(unmet)} | more
    return Found(
        reasons=(*unmet, *_unsealed(books), *reasons),
        jobs=len(books.jobs),
        succeeded=sum(job.status == "succeeded" for job in books.jobs),
        faults=sum(len(job.faults) for job in books.jobs),
        paid=sum(generation.charged for job in books.jobs for generation in job.generations),
        paid_twice=sum(stage.counts[CHARGED_TWICE] for stage in judged.stages),
        commands=(str(judged.run.get("command")),),
        roots=(books.seal.root,),
        where=tuple((str(k), str(v)) for k, v in mapping(where).items()),
        **told,
    )
