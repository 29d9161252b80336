"""The page over all parts: the answer first, then a section for each part, and how to check it."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from urllib.parse import quote

from loadtest.books.facts import mapping
from loadtest.judge.judge import CHARGED_TWICE
from loadtest.prove.proof import KILL, Outcome, Proof, Verdict, read
from loadtest.report.page import (
    BAD,
    GOOD,
    WARN,
    Block,
    Cell,
    Cells,
    Code,
    Notice,
    Section,
    Table,
    Text,
    html,
    markdown,
    own,
    row,
)
from loadtest.times import duration, timestamp

_TONES = {Verdict.PASSED: GOOD, Verdict.NOT_RUN: WARN}
MOST_REASONS = 50
_HEADS = (
    "part",
    "#verdict",
    "#jobs",
    "#faults",
    "#kills",
    "#paid",
    "#paid twice",
    "#took",
    "shows",
)
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
    blocks: list[Block] = [
        Notice(GOOD if proof.passed else BAD, f"{proof.headline}."),
        *(Notice(BAD, f"Changed since the end: {text}.") for text in proof.broken[:5]),
        Table(_HEADS, [_row(outcome) for outcome in proof.outcomes]),
        Table(
            ("with what", "what would break it", "what was not tried"),
            [
                row(*(text or "" for text in texts))
                for texts in zip_longest(_with_what(proof), _WOULD_BREAK, _not_tried(proof))
            ],
        ),
    ]
    lead = "Every part has a stack of its own, and is judged again here from its raw records."
    return [Section("Can we trust it?", lead, blocks), *map(_part, proof.outcomes), _again(proof)]


def _row(outcome: Outcome) -> Cells:
    """Return a part in a line; its name leads to its own report."""
    numbers: tuple[str | None, ...] = (None,) * 5
    if run := outcome.run:
        jobs, kills = run.books.jobs, sum(strike.kind == KILL for strike in outcome.struck)
        others = f" + {more}" if (more := len(outcome.struck) - kills) else ""
        numbers = (
            f"{sum(job.status == 'succeeded' for job in jobs)} of {len(jobs)}",
            str(sum(len(job.faults) for job in jobs)),
            f"{kills}{others}",
            str(sum(each.charged for job in jobs for each in job.generations)),
            str(sum(stage.counts[CHARGED_TWICE] for stage in run.stages)),
        )
    return row(
        Cell(outcome.part.name, href=quote(outcome.report)),
        Cell(outcome.verdict, _TONES.get(outcome.verdict, BAD)),
        *numbers,
        duration(outcome.seconds) if outcome.seconds else None,
        outcome.part.shows if outcome.verdict is Verdict.PASSED else "nothing, this time",
    )


def _with_what(proof: Proof) -> Iterator[str]:
    """Return the setting of the proof, and the machine by the first part that has it."""
    plan = proof.plan
    units = {"local": "processes", "docker": "containers"}.get(plan.mode, plan.mode)
    yield f"{plan.workers} workers, as {units}; one job at a time"
    yield f"mocks, {plan.speed:g} times as fast as the wall's clock"
    runs = (outcome.run.run for outcome in proof.outcomes if outcome.run)
    if where := next((found for run in runs if (found := mapping(run.get("environment")))), None):
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
    more = len(outcome.reasons) - MOST_REASONS
    blocks: list[Block] = [
        Notice(_TONES.get(outcome.verdict, BAD), f"{outcome.verdict}: {outcome.headline}"),
        *(Notice(BAD, reason) for reason in outcome.reasons[:MOST_REASONS]),
        *([Text(f"And {more} more reasons, in its own report.")] if more > 0 else []),
    ]
    if run := outcome.run:
        report = Cell(outcome.report, href=quote(outcome.report))
        facts = [row("its own report", report), row("seal", run.books.seal.root)]
        blocks.append(Table(("of this part", ""), facts))
        if outcome.struck:
            rows = [row(f"{strike.at:.1f} s: {strike.strike}") for strike in outcome.struck]
            blocks.append(Table(("strikes",), rows))
        command = Code(str(run.run.get("command")))
        blocks += [Text("To run only this part, on your own stack:"), command]
    lead = f"Shows, where it passes: {outcome.part.shows}."
    return Section(outcome.part.name.capitalize(), lead, blocks)


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
