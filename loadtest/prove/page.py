"""The page over all parts: its first section answers "can we trust it, with what, and what would
break it"; then a section for each part, and what is left open."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from urllib.parse import quote

from loadtest.prove.proof import Outcome, Proof, Verdict, read
from loadtest.report.page import (
    BAD,
    GOOD,
    WARN,
    Block,
    Cell,
    Code,
    Notice,
    Section,
    Table,
    Text,
    Tiles,
    html,
    markdown,
    own,
    row,
)
from loadtest.times import duration, timestamp

_TONES = {
    Verdict.PASSED: GOOD,
    Verdict.FAILED: BAD,
    Verdict.BROKEN_OFF: BAD,
    Verdict.NOT_RUN: WARN,
}
MOST_REASONS = 50
_WOULD_BREAK = (
    "a vendor that ignores our ids: charged twice",
    "a video past DRAIN_SECONDS: the next beside it",
    "a power cut: not every write is synced",
)
_NOT_TRIED = (
    "real vendors and their prices (make try)",
    "several machines, another Temporal server",
    "days of load (make test-100000 RATE=0.5/s)",
)
_OTHER_MODE = {
    "local": "containers (MODE=docker)",
    "docker": "wires that are cut (MODE=local)",
}


def drawn(folder: Path, *, seal: bool = False) -> Proof:
    """Judge a proof and draw its page; the same records give the same files."""
    proof = read(folder, seal=seal)
    title, found = "Proof {1}", sections(proof)
    for name, text in (
        ("report.md", markdown(title.format(None, proof.name), found)),
        ("report.html", html(title, found, passed=proof.passed, names=(proof.name,))),
    ):
        (folder / name).write_text(text, encoding="utf-8")
    return proof


def sections(proof: Proof) -> list[Section]:
    """Return the section with the answer."""
    return [_answer(proof), *map(_part, proof.outcomes), _again(proof)]


def _answer(proof: Proof) -> Section:
    blocks: list[Block] = [
        Notice(GOOD if proof.passed else BAD, f"{proof.headline}."),
        *(Notice(BAD, f"Changed since the end: {text}.") for text in proof.broken[:5]),
        _tiles(proof),
        Table(
            (
                "part",
                "#verdict",
                "#jobs",
                "#faults",
                "#kills",
                "#paid",
                "#broken",
                "#took",
                "shows",
            ),
            [_row(outcome) for outcome in proof.outcomes],
        ),
        Table(
            ("with what", "what would break it", "what was not tried"),
            [
                row(*(text or "" for text in texts))
                for texts in zip_longest(_with_what(proof), _WOULD_BREAK, _not_tried(proof))
            ],
        ),
    ]
    lead = "Every part has a stack of its own, and is judged again here from its raw records."
    return Section("Can we trust it?", lead, blocks)


def _tiles(proof: Proof) -> Tiles:
    found = [outcome.found for outcome in proof.outcomes]
    twice, broken = sum(f.paid_twice for f in found), sum(f.violations for f in found)
    others = sum(len(f.strikes) - f.kills for f in found)
    return Tiles(
        (
            ("verdict", "PASS" if proof.passed else "FAIL", GOOD if proof.passed else BAD),
            ("jobs", str(sum(f.jobs for f in found)), ""),
            ("faults fired", str(sum(f.faults for f in found)), ""),
            ("kills + strikes", f"{sum(f.kills for f in found)} + {others}", ""),
            ("paid generations", str(sum(f.paid for f in found)), ""),
            ("paid twice", str(twice), BAD if twice else GOOD),
            ("rules broken", str(broken), BAD if broken else GOOD),
            ("took", duration(sum(outcome.seconds for outcome in proof.outcomes)), ""),
        )
    )


def _row(outcome: Outcome) -> tuple[Cell, ...]:
    """Return a part in a line: its name leads to its own report."""
    found, passed = outcome.found, outcome.verdict is Verdict.PASSED
    shown = outcome.part.shows if passed else "nothing, this time"
    others = f" + {more}" if (more := len(found.strikes) - found.kills) else ""
    numbers: tuple[str | None, ...] = (None,) * 5
    if found.jobs:
        jobs = f"{found.succeeded} of {found.jobs}"
        numbers = (jobs, str(found.faults), f"{found.kills}{others}", str(found.paid))
        numbers += (str(found.violations),)
    took = duration(outcome.seconds) if outcome.seconds else None
    name = Cell(outcome.part.name, href=_href(outcome))
    return row(name, Cell(outcome.verdict, _TONES[outcome.verdict]), *numbers, took, shown)


def _href(outcome: Outcome) -> str:
    """Return the way from the page to the part's own report, if there is one."""
    report = outcome.found.report
    return quote(f"{outcome.part.name}/{report}") if report else ""


def _with_what(proof: Proof) -> Iterator[str]:
    """Return the setting of the proof, and the machine by the first part that has it."""
    plan = proof.plan
    units = {"local": "processes", "docker": "containers"}.get(plan.mode, plan.mode)
    yield f"{plan.workers} workers, as {units}; one job at a time"
    yield f"mocks, {plan.speed:g} times as fast as the wall's clock"
    where = dict(next((o.found.where for o in proof.outcomes if o.found.where), ()))
    if where:
        yield f"Temporal server {where.get('server')}, SDK {where.get('sdk')}"
        yield f"code {where.get('code')}, Python {where.get('python')}"
        yield f"{where.get('cores')} cores, {where.get('memory_gib')} GiB"


def _not_tried(proof: Proof) -> Iterator[str]:
    if missed := proof.of(Verdict.BROKEN_OFF) + proof.of(Verdict.NOT_RUN):
        yield f"not to its end: {', '.join(missed)}"
    yield from _NOT_TRIED
    if other := _OTHER_MODE.get(proof.plan.mode):
        yield other


def _part(outcome: Outcome) -> Section:
    found, part = outcome.found, outcome.part
    more = len(outcome.reasons) - MOST_REASONS
    blocks: list[Block] = [
        Notice(_TONES[outcome.verdict], f"{outcome.verdict}: {found.headline}"),
        *(Notice(BAD, reason) for reason in outcome.reasons[:MOST_REASONS]),
        *([Text(f"And {more} more reasons, in its own report.")] if more > 0 else []),
    ]
    if found.report:
        report = Cell(f"{part.name}/{found.report}", href=_href(outcome))
        facts = [row("its own report", report), *(row("seal", root) for root in found.roots)]
        blocks.append(Table(("of this part", ""), facts))
    if found.strikes:
        blocks.append(Table(("strikes",), [row(strike) for strike in found.strikes]))
    if found.commands:
        blocks += [Text("To do it alone, on a stack as yours is:"), *map(Code, found.commands)]
    return Section(part.name.capitalize(), f"Shows, where it passes: {part.shows}.", blocks)


def _again(proof: Proof) -> Section:
    """Return what a reader can check without trusting this report."""
    facts = [
        row("began", timestamp(proof.plan.began_at)),
        row("seed", own(str(proof.plan.seed))),
        row("seal (root of SHA256SUMS)", proof.root),
    ]
    blocks: list[Block] = [
        Table(("of this proof", ""), facts),
        Text("The same again, with other moments and the same prompts and strikes:"),
        Code(proof.plan.command),
        Text("Judged and drawn again from what was noted, from the root of the project:"),
        Code(f".venv/bin/python -m loadtest prove reports/{proof.name}"),
        Text("Whether a file was changed since, in the folder of the proof, and in that of a run:"),
        Code("sha256sum -c SHA256SUMS"),
    ]
    lead = (
        "What is claimed, with the test of each claim, is in docs/reliability.md; which books "
        "there are, and what the judge itself is held against, is in docs/reports.md."
    )
    return Section("To check it", lead, blocks)
