"""The folder of a run: raw records go in once, and everything else is derived from them."""

import errno
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

SCHEMA = 4

# Larger than any record of a run; more is not read.
LARGEST_ROWS, LARGEST_FILE, LONGEST_ROW = 1024**3, 64 * 1024**2, 16 * 1024**2
LARGEST_NUMBER = 2**128

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
EXECUTIONS = "executions.jsonl"
PROCESSES = "processes.jsonl"
REPLAY = "replay.json"
CLOCKS = "clocks.jsonl"
CHAOS = "chaos.json"


def ledger(vendor: str) -> str:
    """Return the raw file with the ledger of a vendor's mock."""
    return f"{vendor}_ledger.jsonl"


class Damaged(Exception):
    """A record that can't be read at all, in one line."""


class RunFolder:
    """`reports/<run>/`: `raw/` and `histories/` hold what was seen, the rest what it means."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.raw = path / "raw"
        self.histories = path / "histories"
        self.torn: dict[str, int] = {}
        """Lines that could not be read, by file; known once it has been. A history is one."""

    @classmethod
    def create(cls, reports: Path, run_id: str) -> "RunFolder":
        folder, latest = cls(reports / run_id), reports / "latest"
        # A copy of the reports has a folder there: found out before the jobs, and not behind them.
        if latest.is_dir() and not latest.is_symlink():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(latest))
        folder.raw.mkdir(parents=True)
        folder.histories.mkdir()
        return folder

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Return an existing run; raise FileNotFoundError if there are no raw records."""
        folder = cls(path)
        if not (folder.raw / RUN).is_file():
            raise FileNotFoundError(f"{path} holds no raw records ({Path('raw') / RUN} is missing)")
        return folder

    def point_latest(self) -> None:
        """Make `latest` beside this run point to it; relative, so that the folder may move."""
        link, fresh = self.path.parent / "latest", self.path.parent / f".latest-{self.path.name}"
        # Made beside it and renamed: a reader of `latest` meanwhile finds this run or the last.
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self.path.name)
        os.replace(fresh, link)

    def append(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        with (self.raw / name).open("a", encoding="utf-8") as out:
            for row in rows:
                out.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        """Return the rows of a raw file; count torn lines (of a killed run), and leave them out."""
        path = self.raw / name
        if not path.is_file():
            return
        torn = 0
        with path.open("rb") as lines:
            while line := lines.readline(LONGEST_ROW):
                row = _object(line.decode("utf-8", "replace"))
                if row is None:
                    torn += 1
                else:
                    yield row
        if torn:
            self.torn[f"raw/{name}"] = torn

    def check(self) -> None:
        """Raise Damaged for what our runs never leave: links, pipes, and endless files."""
        for inside in (self.raw, self.histories):
            for path in (inside, *sorted(inside.glob("*"))):
                most = LARGEST_ROWS if path.suffix == ".jsonl" else LARGEST_FILE
                if path.is_symlink():
                    raise Damaged(f"{path} is damaged: it is a link")
                if path.exists() and not path.is_file() and not path.is_dir():
                    raise Damaged(f"{path} is damaged: it is no file")
                if path.is_file() and path.stat().st_size > most:
                    raise Damaged(f"{path} is damaged: it is larger than {most} bytes")

    def write(self, name: str, value: Any) -> None:
        text = json.dumps(value, ensure_ascii=False, indent=1)
        (self.raw / name).write_text(text + "\n", encoding="utf-8")

    def read(self, name: str) -> Any:
        """Return a raw JSON file, or None if it is missing; raise Damaged."""
        path = self.raw / name
        try:
            return parsed(path.read_text(encoding="utf-8")) if path.is_file() else None
        except (ValueError, RecursionError) as error:
            raise Damaged(f"{path} is damaged: {error}") from None


def parsed(text: str) -> Any:
    """Return what a JSON text says; raise ValueError also for what our programs never write."""
    found = json.loads(
        text,
        object_pairs_hook=_once,
        parse_constant=_number,
        parse_float=_number,
        parse_int=_number,
    )
    if "\\u" in text:
        # Half of a character can't be written into a report.
        json.dumps(found, ensure_ascii=False).encode()
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name in it stands twice")
    return found


def _number(text: str) -> float:
    number = int(text) if text.removeprefix("-").isdigit() else float(text)
    if not abs(number) <= LARGEST_NUMBER:
        raise ValueError("a number in it is none, or beyond all bounds")
    return number


def _object(line: str) -> dict[str, Any] | None:
    try:
        row = parsed(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
