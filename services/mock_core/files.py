"""Finished files in memory, and ledger and files on disk, as a vendor has a database."""

import io
import json
import shutil
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass
from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from PIL import Image, UnidentifiedImageError

from services.mock_core.clock import Clock
from services.mock_core.ledger import DeliveryAttempt, Generation, JobIndex, Ledger, State

RESTARTED = "the service was restarted"
_KEPT = (
    *("id", "external_id", "attempt", "prompt", "style", "base_url", "token"),
    *("callback_url", "error", "charged", "units", "vanished", "accepted", "started", "finished"),
    *("updated", "file_name", "sha256", "source_sha256", "shows", "source_shows"),
)


class Disk:
    """One mock's folder, with one writer."""

    def __init__(self, folder: Path) -> None:
        self._rows = folder / "ledger.jsonl"
        self._files = folder / "files"
        self._files.mkdir(parents=True, exist_ok=True)

    def note(self, generation: Generation) -> None:
        """Append the state of a generation; the last line of an id counts."""
        row: dict[str, Any] = {name: getattr(generation, name) for name in _KEPT}
        row["state"] = generation.state
        # The rest are objects of the native wire, which live as long as the process.
        row["detail"] = {k: v for k, v in generation.detail.items() if isinstance(v, str | bool)}
        row["deliveries"] = [asdict(attempt) for attempt in generation.delivery_attempts]
        line = json.dumps(row, ensure_ascii=True) + "\n"
        with self._rows.open("a", encoding="ascii") as out:
            out.write(line)

    def restore(self, ledger: Ledger, jobs: JobIndex) -> None:
        """Restore the ledger; unfinished generations failed by the restart."""
        latest: dict[str, dict[str, Any]] = {}
        lines = self._rows.read_text(encoding="ascii") if self._rows.is_file() else ""
        for line in lines.splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                # A kill may have torn the last one.
                continue
            latest[row["id"]] = row
        for row in latest.values():
            job, _ = jobs.find(row["external_id"], row["prompt"])
            job.accepted += 1
            generation = Generation(
                job=job,
                state=State(row["state"]),
                detail=row["detail"],
                delivery_attempts=[DeliveryAttempt(**attempt) for attempt in row["deliveries"]],
                **{name: row[name] for name in _KEPT},
            )
            ledger.add(generation)
            if generation.open:
                generation.state, generation.error = State.FAILED, RESTARTED
                generation.finished = generation.updated = time.time()
                self.note(generation)
            ledger.closed(generation)

    def path(self, name: str) -> Path:
        return self._files / quote(name, safe="")

    def file_names(self) -> list[str]:
        return [unquote(path.name) for path in self._files.iterdir()]

    def clear(self) -> None:
        self._rows.unlink(missing_ok=True)
        shutil.rmtree(self._files, ignore_errors=True)
        self._files.mkdir(parents=True, exist_ok=True)


@dataclass(slots=True, eq=False)
class StoredFile:
    body: bytes
    media_type: str
    made_at: float
    generation: Generation | None = None


class FileStore:
    """Finished files in memory, up to a limit, oldest removed first; `disk` keeps them over a
    restart."""

    def __init__(self, max_bytes: int, clock: Clock, disk: Disk | None = None) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._disk = disk
        self._on_disk = dict.fromkeys(disk.file_names() if disk is not None else ())
        self._files: OrderedDict[str, StoredFile] = OrderedDict()
        self.size = 0

    def put(
        self, name: str, body: bytes, media_type: str, generation: Generation | None = None
    ) -> None:
        if generation is not None:
            generation.sha256, generation.shows = sha256(body).hexdigest(), shown(body)
        if self._disk is not None:
            self._disk.path(name).write_bytes(body)
            self._on_disk[name] = None
        self._keep(name, StoredFile(body, media_type, self._clock.now(), generation))

    def _keep(self, name: str, file: StoredFile) -> None:
        self._drop(name)
        self._files[name] = file
        self.size += len(file.body)
        while self.size > self._max_bytes and len(self._files) > 1:
            self._drop(next(iter(self._files)))

    def _drop(self, name: str) -> None:
        if (file := self._files.pop(name, None)) is not None:
            self.size -= len(file.body)

    def get(self, name: str) -> StoredFile | None:
        found = self._files.get(name)
        if found is None and self._disk is not None and name in self._on_disk:
            body = self._disk.path(name).read_bytes()
            found = StoredFile(body, guess_type(name)[0] or "application/octet-stream", 0.0)
            self._keep(name, found)
        return found

    def names(self) -> list[str]:
        """Return every file that exists, in memory or on disk."""
        return [*self._files, *(name for name in self._on_disk if name not in self._files)]

    def clear(self) -> None:
        self._files.clear()
        self._on_disk.clear()
        self.size = 0


def shown(body: bytes) -> str | None:
    """Return the digest of the pixels or of a video's packets; None if the bytes are neither."""
    try:
        if body[4:8] == b"ftyp":
            return _film(body)
        with Image.open(io.BytesIO(body)) as picture:
            name = f"{picture.mode} {picture.width}x{picture.height}\n"
            return sha256(name.encode() + picture.tobytes()).hexdigest()
    except (UnidentifiedImageError, IndexError, OSError, SyntaxError, ValueError):
        return None


def _film(body: bytes) -> str:
    # Imported here, because the image service makes no film and would start more slowly.
    import av

    digest = sha256()
    try:
        with av.open(io.BytesIO(body), "r") as film:
            for packet in film.demux(video=0):
                digest.update(bytes(packet))
    except av.FFmpegError as error:
        raise ValueError("no film") from error
    return digest.hexdigest()
