"""Proofs as `make prove` leaves them, of small parts: two jobs each, and no stack."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from loadtest.books import raw
from loadtest.books.raw import RunFolder
from loadtest.prove.found import CHAOS, RESULT, one_run
from loadtest.prove.proof import KILLED, NOTED, PARTS, PLAN
from loadtest.run.plan import Options
from tests.loadtest.synthetic import Synthetic

SMALL = {
    "ladder": partial(one_run, stages=(2,)),
    "faults": partial(one_run, stages=(2,), faults=True),
}
SMALL_PARTS = tuple(replace(p, read=SMALL.get(p.name, p.read)) for p in PARTS)
RUN = "run"
STRIKES = [
    {"number": n, "at": 1.5, "kind": "kill", "target": target, "strike": f"kill {target}"}
    for n, target in enumerate(KILLED, 1)
]


class Made:
    """A proof's folder in which every part has passed, until a test does something to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of_good_parts(cls, folder: Path) -> "Made":
        """All of them, ended well."""
        made = cls(folder)
        made.raw.raw.mkdir(parents=True)
        plan = {"mode": "local", "seed": "7", "workers": 2, "speed": 100, "began_at": 1.0}
        made.raw.write(PLAN, plan | {"command": "make prove SEED=7"})
        _run(folder / "ladder")
        faults = _run(folder / "faults")
        faults.add(raw.FAULTS, [_fault(faults)])
        for name in ("kills", "chaos"):
            chaos = _run(folder / name)
            chaos.replace(CHAOS, {"struck": STRIKES})
            made.result(name)
        (_run(folder / "control").folder.path / "control").mkdir()
        wrong = _run(folder / "control", name="wrong")
        wrong.edit(raw.LEDGERS["video"], _into_the_next)
        for part in PARTS:
            made.ended(part.name)
        return made

    @property
    def raw(self) -> RunFolder:
        """What was noted of the proof itself."""
        return RunFolder(self.folder)

    def run(self, part: str) -> RunFolder:
        """The run of a part."""
        return RunFolder(self.folder / part / RUN)

    def ended(self, name: str, *, status: int = 0, reason: str = "") -> None:
        """A part is over; said again, the last word counts."""
        row = {"name": name, "status": status, "reason": reason, "began_at": 1.0, "ended_at": 61.0}
        self.raw.append(NOTED, [row])

    def never_ended(self, *names: str) -> None:
        """The proof ended before these parts did."""
        rows = [row for row in self.raw.rows(NOTED) if row["name"] not in names]
        (self.raw.raw / NOTED).unlink()
        self.raw.append(NOTED, rows)

    def result(self, name: str, *violations: dict[str, str]) -> None:
        """What a chaos run says of itself."""
        body = {"jobs": {"succeeded": 2}, "violations": violations}
        (self.run(name).path / RESULT).write_text(json.dumps(body), "utf-8")


def _run(part: Path, *, name: str = RUN) -> Synthetic:
    plan = Options(stages="2", seed="7").plan()
    return Synthetic(part, plan=plan, run_id=name).write()


def _fault(run: Synthetic) -> dict[str, Any]:
    """One that slowed the first image down, and was borne."""
    made = next(iter(run.folder.rows(raw.LEDGERS["image"])))
    fault = {"service": "image", "rule": "slow", "where": "progress", "do": "slow"}
    return fault | {"external_id": made["external_id"], "at": made["accepted_at"]}


def _into_the_next(videos: list[dict[str, Any]]) -> None:
    """The first video lasts until the second one ends."""
    videos[0]["finished_at"] = videos[1]["finished_at"]
