"""The page of `make prove`: a line for each part, and one for each run, with its report."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from loadtest.books import seal
from loadtest.books.raw import RunFolder
from loadtest.report.page import (
    BAD,
    GOOD,
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
from loadtest.times import duration

# What each part shows if it passes.
SHOWS = {
    "ladder": "1 to 100 at once: none lost, doubled or paid twice",
    "faults": "the vendors' faults: every job succeeds, paid once",
    "kills": "every service and the server killed (-9)",
    "chaos": "kills, freezes, resets, cancels, drawn by the seed",
    "control": "the judge convicts a semaphore wrong on purpose",
}
PASSED, FAILED, NOT_REACHABLE, INTERRUPTED = 0, 1, 3, 130


@dataclass(frozen=True, slots=True)
class Ending:
    """How the command of a part ended; `reason` if it could not start."""

    name: str
    status: int
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Proof:
    """The whole: the parts that have ended, and the command that repeats it."""

    folder: Path
    command: str
    endings: Sequence[Ending]

    @property
    def status(self) -> int:
        """The exit status; 3 only if nothing failed except that a stack was not reachable."""
        bad = {each.status for each in self.endings} - {PASSED}
        if INTERRUPTED in bad:
            return INTERRUPTED
        if bad == {NOT_REACHABLE}:
            return NOT_REACHABLE
        return FAILED if bad or self._verdicts.keys() != SHOWS.keys() else PASSED

    @property
    def _verdicts(self) -> dict[str, str]:
        words = {PASSED: "passed", INTERRUPTED: "broken off"}
        return {each.name: words.get(each.status, "failed") for each in self.endings}

    @property
    def headline(self) -> str:
        if self.status == PASSED:
            return f"PASS: all {len(SHOWS)} parts passed"
        verdicts = [self._verdicts.get(name, "not run") for name in SHOWS]
        pairs = [*zip(SHOWS, verdicts, strict=True)]
        said = [
            f"{', '.join(names)} {word}"
            for word in ("failed", "broken off", "not run")
            if (names := [name for name, verdict in pairs if verdict == word])
        ]
        return f"FAIL: {'; '.join(said)}"

    def draw(self) -> str:
        """Write the page, seal the proof, and return the root of its seal."""
        root = seal.write(RunFolder(self.folder), seal.OF_PROOF)
        title, found = "Proof {1}", [self._section(root)]
        name, passed = self.folder.name, self.status == PASSED
        for file, text in (
            ("report.md", markdown(title.format(None, name), found)),
            ("report.html", html(title, found, passed=passed, names=(name,))),
        ):
            (self.folder / file).write_text(text, encoding="utf-8")
        return root

    def _section(self, root: str) -> Section:
        blocks: list[Block] = [
            Notice(GOOD if self.status == PASSED else BAD, f"{self.headline}."),
            *(Notice(BAD, f"{e.name}: {e.reason}") for e in self.endings if e.reason),
            Table(("part", "#verdict", "#took", "shows"), [self._part(name) for name in SHOWS]),
            Table(("part", "its own report", "seal"), [*self._runs()]),
            Text("The same again, with other moments and the same prompts and strikes:"),
            Code(self.command),
            Text("Whether a file was changed since, in the folder of the proof, and in a run's:"),
            Code("sha256sum -c SHA256SUMS"),
            Table(("of this proof", ""), [row("seal (root of SHA256SUMS)", root)]),
        ]
        lead = "Every part has a stack of its own; its verdict is the exit status of its command."
        return Section("Can we trust it?", lead, blocks)

    def _part(self, name: str) -> Cells:
        verdict = self._verdicts.get(name, "not run")
        passed = verdict == "passed"
        took = sum(each.seconds for each in self.endings if each.name == name)
        shows = SHOWS[name] if passed else "nothing, this time"
        tone = GOOD if passed else BAD
        return row(name, Cell(verdict, tone), duration(took) if took else None, shows)

    def _runs(self) -> Iterator[Cells]:
        """Yield each run with the judge's headline; the wrong build of the control must fail."""
        for name in SHOWS:
            for path in sorted((self.folder / name).glob("**/results.json")):
                results = json.loads(path.read_text(encoding="utf-8"))
                report = path.with_name("report.html").relative_to(self.folder).as_posix()
                said = Cell(results["headline"], href=quote(report))
                yield row(name, said, own(results["seal"]))
