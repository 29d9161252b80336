"""Fetching the books of a finished run into raw records; what can't be read is a problem."""

import asyncio
import hashlib
import io
import json
import time
import wave
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

import av
from PIL import Image, UnidentifiedImageError
from temporalio.api.history.v1 import HistoryEvent

from loadtest.books import raw
from loadtest.books.facts import owner
from loadtest.books.histories import read_events
from loadtest.books.raw import RunFolder
from loadtest.collect.tracker import Tracker
from loadtest.times import instant
from loadtest.wire.http import Unreachable
from loadtest.wire.stack import Stack
from loadtest.wire.temporal import history_rows
from loadtest.wire.vendor import Vendor, receipts

SETTLE_SECONDS = 5.0
LIST_TRIES = 60
"""The server's list of runs may lag; what it never shows is held against the run."""


class Collector:
    """Reads every book for the jobs of one stage.

    Without a data folder, because the store is elsewhere, the API gives records.
    """

    def __init__(self, folder: RunFolder, stack: Stack) -> None:
        self._folder, self._stack, self._api = folder, stack, stack.api
        self._data = stack.settings.store_dir
        self.problems: list[str] = []

    async def collect(self, stages: Sequence[tuple[int, Tracker]], *, since: float) -> None:
        """Write all books; one that can't be read becomes a problem, not an error.

        The API's book is read first: what it shows as ended is then complete in the others, even
        where jobs still go on because the run was interrupted.
        """
        for stage, tracker in stages:
            await self._read("API", self._jobs(stage, tracker))
        own = {job_id for _, tracker in stages for job_id in tracker.known}
        holders = {job_id for _, tracker in stages for job_id in tracker.holders}
        await self._ledgers(own, holders, since=since)
        for _, tracker in stages:
            job_ids = sorted(tracker.known)
            runs: dict[str, list[str]] = {}
            await self._read("Temporal's list", self._executions(tracker, runs))
            await self._read("Temporal", self._histories(job_ids, runs))
            await self._read("receipts", self._receipts(job_ids))
            await self._read("records", self._states(job_ids))
            await self._read("files", self._files(job_ids))

    async def _read(self, name: str, step: Coroutine[Any, Any, None]) -> None:
        try:
            await step
        except (Unreachable, OSError) as error:
            self.problems.append(f"{name}: {error}")

    async def _ledgers(self, own: set[str], holders: set[str], *, since: float) -> None:
        """Write each mock's ledger, statistics and verdict, once, at the end of a run.

        Rows that had ended before the run are left out. A later generation of no job in `own`
        is somebody else's if the API knows its job; we ask. So is a holder of the slot that is none
        of `own`, whose generations a mock that was started again has forgotten.
        """
        books: dict[str, Any] = {}
        foreign = holders - own

        async def read(vendor: Vendor) -> None:
            try:
                settled = await self._settled(vendor)
                rows = [row for row in settled if job_of(row) in own or _touches(row, since)]
                self._folder.append(raw.ledger(vendor.name), rows)
                foreign.update(owner for row in rows if (owner := job_of(row)) and owner not in own)
                books[vendor.name] = await self._vendor(vendor, own)
            except Unreachable as error:
                self.problems.append(f"ledger of the {vendor.name} service: {error}")

        await asyncio.gather(*map(read, self._stack.vendors))
        self._folder.write(raw.VENDORS, books)
        await self._foreign(foreign)

    async def _vendor(self, vendor: Vendor, own: set[str]) -> dict[str, Any]:
        recorded, rows = await vendor.trace()
        mine = ({"service": vendor.name, **row} for row in rows if job_of(row) in own)
        self._folder.append(raw.FAULTS, mine)
        return {
            "stats": await vendor.read("/admin/stats"),
            "verdict": await vendor.read("/admin/verdict"),
            "faults_recorded": recorded,
            "faults_remembered": len(rows),
        }

    async def _foreign(self, job_ids: set[str]) -> None:
        try:
            for job_id in sorted(job_ids):
                job = await self._api.read(f"/jobs/{job_id}", optional=True)
                row: dict[str, Any] = {"job_id": job_id, "known": job is not None}
                row |= {key: job.get(key) if job else None for key in ("finished_at", "tag")}
                self._folder.append(raw.FOREIGN, [row])
        except Unreachable as error:
            self.problems.append(f"other jobs: {error}")

    async def _settled(self, vendor: Vendor) -> list[dict[str, Any]]:
        """Read the ledger until it has stopped changing, so that no last callback is cut off."""
        rows = await vendor.ledger()
        for _ in range(int(SETTLE_SECONDS / 0.5)):
            await asyncio.sleep(0.5)
            again = await vendor.ledger()
            if again == rows:
                return again
            rows = again
        return rows

    async def _jobs(self, stage: int, tracker: Tracker) -> None:
        listed: set[str] = set()
        async for job in self._api.jobs(tracker.tag):
            listed.add(str(job.get("job_id")))
            self._folder.append(raw.JOBS, [{"stage": stage, "listed": True, "job": job}])
        for job_id in sorted(tracker.known - listed):
            found = await self._api.read(f"/jobs/{job_id}", optional=True)
            if found is not None:
                self._folder.append(raw.JOBS, [{"stage": stage, "listed": False, "job": found}])

    async def _executions(self, tracker: Tracker, runs: dict[str, list[str]]) -> None:
        """Note each job's runs, oldest first.

        The server's list lags, and a record shows a job's end before its run closes: ask again
        until the list shows a run of each job, closed if the job has ended.
        """
        rows: list[dict[str, Any]] = []
        for _ in range(LIST_TRIES):
            rows = [row async for row in self._stack.temporal.executions(tracker.tag)]
            rows.sort(key=lambda row: row["started"])
            newest = {row["job_id"]: row for row in rows}
            going_on = {job_id for job_id, row in newest.items() if row["closed"] is None}
            if len(newest) >= len(tracker.known) and going_on <= tracker.open:
                break
            await asyncio.sleep(0.5)
        self._folder.append(raw.EXECUTIONS, ({"tag": tracker.tag, **row} for row in rows))
        for row in rows:
            runs.setdefault(row["job_id"], []).append(row["run_id"])

    async def _histories(self, job_ids: list[str], runs: dict[str, list[str]]) -> None:
        """Keep the history of each run, readable: the judge reads nothing else of it."""
        for job_id in job_ids:
            events = await self._stack.temporal.history(job_id)
            if not events:
                continue
            newest = await self._keep(job_id, events, name=job_id)
            for run_id in (each for each in runs.get(job_id, ()) if each != newest):
                older = await self._stack.temporal.history(job_id, run_id)
                if older:
                    await self._keep(job_id, older, name=f"{job_id}.{run_id}")

    async def _keep(self, job_id: str, events: Sequence[HistoryEvent], *, name: str) -> str:
        rows = history_rows(job_id, await self._stack.temporal.readable(events))
        text = json.dumps({"events": rows}, ensure_ascii=False, separators=(",", ":"))
        target = self._folder.histories / f"{name}.json"
        await asyncio.to_thread(target.write_text, text, encoding="utf-8")
        return read_events(job_id, rows).run_id

    async def _receipts(self, job_ids: list[str]) -> None:
        for job_id in job_ids:
            rows = await receipts(self._stack.receiver, job_id)
            self._folder.append(raw.RECEIPTS, ({**row, "job_id": job_id} for row in rows))

    async def _states(self, job_ids: list[str]) -> None:
        states = None if self._data is None else self._data / "state" / "jobs"
        if states is not None and not await asyncio.to_thread(states.is_dir):
            raise OSError(f"{states} is not there")
        for job_id in job_ids:
            record, problem = None, None
            try:
                if states is None:
                    record = await self._api.read(f"/jobs/{job_id}/record", optional=True)
                else:
                    path = states / f"{job_id}.json"
                    record = json.loads(await asyncio.to_thread(path.read_text, "utf-8"))
            except FileNotFoundError:
                record = None
            except (OSError, ValueError) as error:
                problem = f"unreadable: {error}"
            if record is None:
                problem = problem or "missing"
            elif not isinstance(record, dict):
                record, problem = None, "not an object"
            row = {"job_id": job_id, "record": record, "problem": problem}
            self._folder.append(raw.STATES, [row])

    async def _files(self, job_ids: list[str]) -> None:
        """Fetch every file as users do."""
        for job_id in job_ids:
            for kind in self._stack.pipeline.names:
                data, media = await self._api.file(job_id, kind)
                row = await asyncio.to_thread(examine, job_id, kind, data, media)
                self._folder.append(raw.FILES, [row])


def _touches(row: dict[str, Any], since: float) -> bool:
    finished = instant(row.get("finished_at"))
    return finished is None or finished >= since


def job_of(row: dict[str, Any]) -> str | None:
    """Return the job that a ledger's row was made for, by our external id."""
    return owner(row.get("external_id"))[0]


RUNNER = "runner"
QUICK = 0.002


def own_clock() -> list[dict[str, Any]]:
    """Read the runner's clock beside a steady one; nothing if the machine paused between."""
    ran = time.clock_gettime(time.CLOCK_MONOTONIC)
    now = time.time()
    if time.clock_gettime(time.CLOCK_MONOTONIC) - ran > QUICK:
        return []
    return [
        {"service": RUNNER, "moment": "sample", "sent_at": now, "answered_at": now, "theirs": ran}
    ]


PROBES = 10
"""The quickest of several requests says most; on a busy machine most of them are slow."""


async def probe(vendors: Iterable[Vendor], moment: str) -> list[dict[str, Any]]:
    """Read each vendor's clock several times; `moment` is an end of the run."""
    found = []
    for vendor in vendors:
        for _ in range(PROBES):
            try:
                reading = await vendor.clock()
            except Unreachable:
                break
            if reading is not None:
                found.append({"service": vendor.name, "moment": moment, **reading})
    return found


def examine(job_id: str, kind: str, data: bytes | None, media: str) -> dict[str, Any]:
    """Return one row of the files book; `problem` says why a file does not count.

    A file of a media type that is not decoded here has its hash only.
    """
    row: dict[str, Any] = {"job_id": job_id, "kind": kind, "bytes": len(data or b"")}
    if not data:
        return row | {"problem": "missing or empty"}
    row |= {"sha256": hashlib.sha256(data).hexdigest(), "shows": None, "problem": None}
    try:
        return row | {"shows": SHOW[media](data) if media in SHOW else None}
    except _Incomplete as error:
        return row | {"problem": str(error)}
    except _UNDECODED as error:
        return row | {"problem": f"does not decode: {error}"}


class _Incomplete(Exception):
    """The file decodes, and something is missing."""


# What the libraries raise for bytes that are not what they seem to be.
_UNDECODED = (
    *(OSError, ValueError, SyntaxError, EOFError, IndexError, wave.Error),
    *(UnidentifiedImageError, Image.DecompressionBombError, av.FFmpegError),
)


def _picture(data: bytes) -> str:
    """Return the digest of the pixels, as the vendors' ledgers have it, and the colours."""
    with Image.open(io.BytesIO(data)) as picture:
        name = f"{picture.mode} {picture.width}x{picture.height}\n"
        digest = hashlib.sha256(name.encode() + picture.tobytes()).hexdigest()
        return f"{digest}/{_colours(picture)}"


def _film(data: bytes) -> str:
    """Return the digest of the packets, as the vendors' ledgers have it, and the colours."""
    packets, frames = hashlib.sha256(), list[av.VideoFrame]()
    with av.open(io.BytesIO(data), mode="r") as container:
        for packet in container.demux(video=0):
            packets.update(bytes(packet))
            frames += packet.decode()
    if not frames:
        raise _Incomplete("has no frames")
    last: Image.Image = frames[-1].to_image()  # type: ignore[no-untyped-call]
    return f"{packets.hexdigest()}/{_colours(last)}"


def _colours(picture: Image.Image) -> str:
    """Return the colours of eight parts of the upper edge, from left to right."""
    edge = (0, 0, picture.width, max(1, picture.height // 90))
    return picture.convert("RGB").resize((8, 1), Image.Resampling.BOX, edge).tobytes().hex()


def _sound(data: bytes) -> None:
    with wave.open(io.BytesIO(data)) as sound:
        frames = sound.getnframes()
        whole = len(sound.readframes(frames)) == frames * sound.getsampwidth()
    if not (frames and whole):
        raise _Incomplete("is cut short")


# By media type.
SHOW: dict[str, Callable[[bytes], str | None]] = {
    **dict.fromkeys(("image/png", "image/jpeg", "image/webp"), _picture),
    "video/mp4": _film,
    "audio/wav": _sound,
}
