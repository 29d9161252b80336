"""A ledger and files on disk, as a vendor has a database: a killed mock knows what it had taken.

A row is written at each change, by one call, so that only the power can take one away.
"""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from services.mock_core.ledger.generation import DeliveryAttempt, Generation, State
from services.mock_core.ledger.jobs import JobIndex
from services.mock_core.ledger.ledger import Ledger

RESTARTED = "the service was restarted"
_KEPT = (
    *("id", "external_id", "attempt", "prompt", "style", "tag", "base_url", "token"),
    *("callback_url", "error", "charged", "vanished", "accepted", "started", "finished"),
    *("updated", "file_name", "sha256", "source_sha256", "shows", "source_shows"),
)
Row = dict[str, Any]


class Disk:
    """One mock's folder; nobody else writes there."""

    def __init__(self, folder: Path) -> None:
        self._rows = folder / "ledger.jsonl"
        self._files = folder / "files"
        self._files.mkdir(parents=True, exist_ok=True)

    def note(self, generation: Generation) -> None:
        """Add how a generation stands; the last line of an id counts."""
        row: Row = {name: getattr(generation, name) for name in _KEPT}
        row["state"] = generation.state
        # What else is in there are objects of the native wire, which live as long as the process.
        row["detail"] = {k: v for k, v in generation.detail.items() if isinstance(v, str | bool)}
        row["deliveries"] = [asdict(attempt) for attempt in generation.delivery_attempts]
        line = json.dumps(row, ensure_ascii=True) + "\n"
        with self._rows.open("a", encoding="ascii") as out:
            out.write(line)

    def restore(self, ledger: Ledger, jobs: JobIndex) -> int:
        """Put the ledger back; what was under way has failed by the restart. How many rows."""
        latest: dict[str, Row] = {row["id"]: row for row in self._read()}
        for row in latest.values():
            generation = _generation(row, jobs)
            ledger.add(generation)
            if generation.open:
                generation.state, generation.error = State.FAILED, RESTARTED
                generation.finished = generation.updated = time.time()
                self.note(generation)
            ledger.closed(generation)
        return len(latest)

    def put_file(self, name: str, body: bytes) -> None:
        """Keep a finished file."""
        self._path(name).write_bytes(body)

    def get_file(self, name: str) -> bytes | None:
        """A file that was kept; None where there is none."""
        path = self._path(name)
        return path.read_bytes() if path.is_file() else None

    def file_names(self) -> list[str]:
        return [unquote(path.name) for path in self._files.iterdir()]

    def remove_file(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget all of it."""
        self._rows.unlink(missing_ok=True)
        shutil.rmtree(self._files, ignore_errors=True)
        self._files.mkdir(parents=True, exist_ok=True)

    def _path(self, name: str) -> Path:
        return self._files / quote(name, safe="")

    def _read(self) -> Iterator[Row]:
        """Every whole line; a kill may have torn the last one."""
        if not self._rows.is_file():
            return
        for line in self._rows.read_text(encoding="ascii").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue


def _generation(row: Row, jobs: JobIndex) -> Generation:
    job, _ = jobs.find(row["external_id"], row["prompt"])
    job.accepted += 1
    return Generation(
        job=job,
        state=State(row["state"]),
        detail=row["detail"],
        delivery_attempts=[DeliveryAttempt(**attempt) for attempt in row["deliveries"]],
        **{name: row[name] for name in _KEPT if name in row},
    )
