"""What one part has left behind, read by the judge that the part is held against itself."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from loadtest.books import seal
from loadtest.books.load import load
from loadtest.books.model import Books
from loadtest.books.raw import RUN, Damaged, RunFolder
from loadtest.judge.judge import CHARGED_TWICE, OVERLAP, Judgement, judge

RESULT, CHAOS = "result.json", "chaos.json"
KILL = "kill"
PAID_ONCE = "nothing is paid or made twice"
"""The rule of chaos by which what is paid twice is found."""


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
    """A load test of these stages; with `faults`, some have to have fired."""
    path = _run(part)
    judged = judge(RunFolder.open(path))
    reasons = [*_unmet(judged), *_unsealed([judged.books])]
    if tuple(judged.run["plan"]["stages"]) != stages:
        reasons.append(f"these are not the stages {', '.join(map(str, stages))}")
    if faults and not _faults(judged.books):
        reasons.append("no fault fired")
    return _of_books(
        [judged.books],
        headline=judged.headline,
        reasons=tuple(reasons),
        report=f"{path.name}/report.html",
        paid_twice=_paid_twice(judged),
        violations=0 if judged.passed else len(judged.reasons),
    )


def two_builds(part: Path) -> Found:
    """The product as it is, which passes, and a build that must be convicted of two at once."""
    ours = _run(part, "lane-*/sound-*/reports/*")
    wrong = _run(part, "lane-*/two-holders/reports/*")
    sound, broken = judge(RunFolder.open(ours)), judge(RunFolder.open(wrong))
    reasons = [*_unmet(sound), *_unsealed([sound.books, broken.books])]
    if broken.passed or OVERLAP not in {finding.rule for finding in broken.findings}:
        reasons.append("the wrong build was not convicted of running two jobs at once")
    return _of_books(
        [sound.books],
        headline=f"ours: {sound.headline}; the wrong build: {broken.headline}",
        reasons=tuple(reasons),
        report=f"{ours.relative_to(part)}/report.html",
        paid_twice=_paid_twice(sound),
        violations=0 if sound.passed else len(sound.reasons),
    )


def chaos(part: Path, *, killed: tuple[str, ...] = ()) -> Found:
    """A chaos run; each target of `killed` has to be among what was killed."""
    path = _run(part)
    folder = RunFolder.open(path)
    books, result, struck = load(folder), _result(path), _struck(folder)
    dead = {strike.target for strike in struck if strike.kind == KILL}
    reasons = [f"{v.rule}: {v.who}: {v.text}" for v in result.violations]
    reasons += [f"{target} was not killed" for target in killed if target not in dead]
    reasons += _unsealed([books])
    if not struck or not books.jobs:
        reasons.append("nothing was struck, or there was no job")
    ends = ", ".join(f"{n} {status}" for status, n in sorted(result.jobs.items()))
    return _of_books(
        [books],
        headline=f"{len(struck)} strikes; jobs: {ends}; {len(result.violations)} violations",
        reasons=tuple(reasons),
        report=f"{path.name}/{RESULT}",
        strikes=tuple(f"{strike.at:.1f} s: {strike.strike}" for strike in struck),
        kills=sum(strike.kind == KILL for strike in struck),
        paid_twice=sum(v.rule == PAID_ONCE for v in result.violations),
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
    jobs: dict[str, int]
    violations: list[_Violation]


class _Strike(_Told):
    at: float
    kind: str
    target: str
    strike: str


class _Chaos(_Told):
    struck: list[_Strike]


def _result(path: Path) -> _Result:
    try:
        return _Result.model_validate_json((path / RESULT).read_bytes())
    except ValidationError as error:
        raise Damaged(f"{RESULT} is damaged: {error.error_count()} mistakes") from None


def _struck(folder: RunFolder) -> list[_Strike]:
    try:
        return _Chaos.model_validate(folder.read(CHAOS)).struck
    except ValidationError as error:
        raise Damaged(f"{CHAOS} is damaged: {error.error_count()} mistakes") from None


def _run(part: Path, place: str = "*") -> Path:
    """The run of a part, which has to have left one at this place."""
    there = [path for path in part.glob(place) if not path.is_symlink()]
    runs = [path for path in there if (path / "raw" / RUN).is_file()]
    if len(runs) != 1:
        raise Damaged(f"left {len(runs)} runs at {place} where there should be 1")
    return runs[0]


def _unmet(judged: Judgement) -> Iterable[str]:
    """What a run was convicted of; of one that passed, reasons are only told."""
    return [] if judged.passed else judged.reasons or [judged.headline]


def _unsealed(books: Iterable[Books]) -> Iterator[str]:
    for each in books:
        name = each.run.get("run_id")
        if each.seal.root == seal.NONE:
            yield f"{name} is not sealed"
        yield from (f"{name}: {text}" for text in each.seal.broken)
        yield from (f"{name}: {file}: {n} damaged lines" for file, n in sorted(each.torn.items()))
        if not each.done:
            yield f"{name} did not come to its end: {each.run.get('why')}"


def _paid_twice(judged: Judgement) -> int:
    return sum(stage.counts[CHARGED_TWICE] for stage in judged.stages)


def _faults(books: Books) -> int:
    return sum(len(job.faults) for job in books.jobs)


def _of_books(books: list[Books], **more: Any) -> Found:
    """The numbers that all parts have in their books."""
    jobs = [job for each in books for job in each.jobs]
    where = books[0].run.get("environment")
    ends = Counter(job.status for job in jobs)
    return Found(
        jobs=len(jobs),
        succeeded=ends["succeeded"],
        faults=sum(map(_faults, books)),
        paid=sum(generation.charged for job in jobs for generation in job.generations),
        commands=tuple(str(each.run.get("command")) for each in books),
        roots=tuple(each.seal.root for each in books),
        where=tuple(
            (str(k), str(v)) for k, v in (where if isinstance(where, dict) else {}).items()
        ),
        **more,
    )
