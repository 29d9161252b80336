"""The folder of a run: raw records go in once, and everything else is derived from them."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

SCHEMA = 2

KEEP_ALL_HISTORIES = 1000
"""Up to so many jobs of a stage each history is kept as a file; beyond, a sample and failures."""
KEEP_EVERY = 50

RUN = "run.json"
STAGES = "stages.jsonl"
SUBMITS = "submits.jsonl"
JOBS = "jobs.jsonl"
FRAMES = "frames.jsonl"
SLOTS = "slots.jsonl"
LEDGERS = {"image": "image_ledger.jsonl", "video": "video_ledger.jsonl"}
VENDORS = "vendors.json"
FOREIGN = "foreign.jsonl"
FAULTS = "faults.jsonl"
RECEIPTS = "receipts.jsonl"
STATES = "states.jsonl"
FILES = "files.jsonl"
TEMPORAL = "temporal.jsonl"
EXECUTIONS = "executions.jsonl"
PROCESSES = "processes.jsonl"
REPLAY = "replay.json"
CLOCKS = "clocks.jsonl"


class Damaged(Exception):
    """A record that can't be read at all, in one line."""


class RunFolder:
    """`reports/<run>/`: `raw/` and `histories/` hold what was seen, the rest what it means."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.raw = path / "raw"
        self.histories = path / "histories"
        self.torn: dict[str, int] = {}
        """Lines that could not be read, by file; known once the file has been."""

    @classmethod
    def create(cls, reports: Path, run_id: str) -> "RunFolder":
        folder = cls(reports / run_id)
        folder.raw.mkdir(parents=True)
        folder.histories.mkdir()
        return folder

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """An existing run; raises FileNotFoundError where there are no raw records."""
        folder = cls(path)
        if not (folder.raw / RUN).is_file():
            raise FileNotFoundError(f"{path} holds no raw records ({Path('raw') / RUN} is missing)")
        return folder

    def point_latest(self) -> None:
        """Make `latest` beside this run point to it; relative, so that the folder may move."""
        link, fresh = self.path.parent / "latest", self.path.parent / f".latest-{self.path.name}"
        # Made beside it and renamed: whoever opens `latest` meanwhile finds this run or the last.
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self.path.name)
        os.replace(fresh, link)

    def append(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        with (self.raw / name).open("a", encoding="utf-8") as out:
            for row in rows:
                out.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        """Rows of a raw file; a torn line (of a run that was killed) is left out and counted."""
        path = self.raw / name
        if not path.is_file():
            return
        torn = 0
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                row = _object(line)
                if row is None:
                    torn += 1
                else:
                    yield row
        if torn:
            self.torn[name] = torn

    def write(self, name: str, value: Any) -> None:
        text = json.dumps(value, ensure_ascii=False, indent=1)
        (self.raw / name).write_text(text + "\n", encoding="utf-8")

    def read(self, name: str) -> Any:
        """A raw JSON file, or None where it is missing; raises Damaged."""
        path = self.raw / name
        try:
            return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        except ValueError as error:
            raise Damaged(f"{path} is damaged: {error}") from None


def _object(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
