"""Callbacks that wait for Temporal, on disk in the order of their arrival, until they are told."""

import asyncio
import os
import secrets
import time
from collections import Counter
from pathlib import Path

import structlog
from pydantic import ValidationError

from services.callback.metrics import WAITING
from services.callback.models import Kept

log = structlog.get_logger(__name__)


class Inbox:
    """`<data>/callbacks/inbox/`, one file a callback; what is put is on the disk afterwards."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "callbacks" / "inbox"
        self._kept: dict[str, Kept] = {}
        self._keys: set[tuple[object, ...]] = set()
        self._jobs: Counter[str] = Counter()

    async def load(self) -> None:
        """Find what an earlier process kept."""
        for name, kept in await asyncio.to_thread(_load, self.folder):
            self._note(name, kept)

    def items(self) -> list[tuple[str, Kept]]:
        """What waits, oldest first."""
        return sorted(self._kept.items())

    def __len__(self) -> int:
        return len(self._kept)

    def waits_for(self, job_id: str) -> bool:
        """Whether anything of this job waits."""
        return self._jobs[job_id] > 0

    async def put(self, kept: Kept) -> None:
        """Keep a callback for good; the same one is kept once."""
        if kept.key in self._keys:
            return
        name = f"{time.time_ns():020d}-{secrets.token_hex(4)}.json"
        await asyncio.to_thread(_write, self.folder / name, kept.model_dump_json().encode())
        self._note(name, kept)

    async def drop(self, name: str) -> None:
        """One has been told, and its receipt is on the disk."""
        await asyncio.to_thread((self.folder / name).unlink, missing_ok=True)
        kept = self._kept.pop(name)
        self._keys.discard(kept.key)
        self._jobs[kept.job_id] -= 1
        if not self._jobs[kept.job_id]:
            del self._jobs[kept.job_id]
        WAITING.set(len(self._kept))

    def _note(self, name: str, kept: Kept) -> None:
        self._kept[name] = kept
        self._keys.add(kept.key)
        self._jobs[kept.job_id] += 1
        WAITING.set(len(self._kept))


def _load(folder: Path) -> list[tuple[str, Kept]]:
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for path in folder.glob("*.json"):
        try:
            found.append((path.name, Kept.model_validate_json(path.read_bytes())))
        except (OSError, ValidationError) as error:
            log.error("a kept callback can't be read", file=path.name, reason=str(error))
    return found


def _write(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
