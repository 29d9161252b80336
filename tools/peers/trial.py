"""One peer, its server and two workers: jobs one after the other, or a worker killed in one.

What is counted is counted at the mocks, by their ledgers; the workers' own lines tell only who
has the job and when it was over.
"""

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from loadtest.times import instant
from tools.bench.processes import mock_process
from tools.peers.engines import Peer
from tools.peers.figures import figures
from tools.peers.servers import Environment, bare, kill_group, process, until

ROOT = Path(__file__).parents[2]
LINE = re.compile(rb"^peer (\w+) (\S+) ([\d.]+)$", re.MULTILINE)
JOB_SECONDS = 20
AWAY_SECONDS = 120
STEPS = ("image", "video")
JOBS = ("first", "second")


@dataclass(frozen=True)
class Line:
    """One line of a worker's."""

    worker: int
    what: str
    job: str
    at: float


@dataclass
class Running:
    """A peer at work."""

    command: list[str]
    environment: Environment
    folder: Path
    exits: contextlib.ExitStack
    workers: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, worker: int) -> None:
        """The same name for a worker that comes back."""
        own = self.environment | {"PEER_WORKER": f"worker-{worker}"}
        log = self.folder / f"worker-{worker}.log"
        before = len(self.reported("ready"))
        command = [*self.command, "work"]
        it = self.workers[worker] = self.exits.enter_context(process(command, own, log))
        until(
            lambda: len(self.reported("ready")) > before or it.poll() is not None,
            f"worker {worker} tells that it is ready",
        )
        if it.poll() is not None:
            raise RuntimeError(f"worker {worker} has ended by itself: {it.returncode}")

    def submit(self, *jobs: str) -> None:
        command = [*self.command, "submit", *jobs]
        with (self.folder / "submit.log").open("ab") as log:
            subprocess.run(
                command, env=self.environment, stdout=log, stderr=log, timeout=300, check=True
            )

    def reported(self, what: str = "", job: str = "") -> list[Line]:
        """Their lines in the order of time."""
        found = [
            Line(number, match[1].decode(), match[2].decode(), float(match[3]))
            for number in (0, 1, 2)
            if (log := self.folder / f"worker-{number}.log").exists()
            for match in LINE.finditer(log.read_bytes())
        ]
        chosen = [one for one in found if what in ("", one.what) and job in ("", one.job)]
        return sorted(chosen, key=lambda one: one.at)

    def ended(self, *jobs: str) -> bool:
        return set(jobs) <= {one.job for one in self.reported("ended")}

    def loop(self, *jobs: str) -> None:
        """The same work by one process that knows of no engine."""
        command = [sys.executable, "-m", "tools.peers.vendors", *jobs]
        with (self.folder / "worker-0.log").open("wb") as log:
            subprocess.run(command, env=self.environment, stdout=log, check=True)

    def paid(self, job: str) -> list[int]:
        """Its images and its videos in the vendors' books."""
        return [sum(row["job"] == job for row in self.rows(step)) for step in STEPS]

    def rows(self, step: str) -> list[dict[str, Any]]:
        """A mock's ledger; a job's name is the prompt of all that is made for it."""
        base = self.environment["PEER_IMAGES" if step == "image" else "PEER_VIDEOS"]
        reply = httpx.get(f"{base}/admin/ledger", trust_env=False).raise_for_status().json()
        return [row | {"job": row["prompt"]} for row in reply]


@contextlib.contextmanager
def running(
    peer: Peer, environments: Path, folder: Path, *, video_seconds: float
) -> Iterator[Running]:
    """Mocks, server and two workers, each fresh."""
    with contextlib.ExitStack() as exits:
        images, _ = exits.enter_context(
            mock_process("mock_comfyui", "COMFYUI_PORT", MOCK_IMAGE_SECONDS="10")
        )
        videos, _ = exits.enter_context(
            mock_process(
                "mock_kling", "KLING_PORT", MOCK_VIDEO_SECONDS=str(round(video_seconds * 100))
            )
        )
        server = exits.enter_context(peer.server(environments, folder))
        environment = {
            **bare(folder),
            **server,
            "PYTHONPATH": str(ROOT),
            "NODE_PATH": str(environments / "bullmq/node_modules"),
            "PEER_IMAGES": f"http://127.0.0.1:{images}",
            "PEER_VIDEOS": f"http://127.0.0.1:{videos}",
        }
        it = Running(peer.command(environments), environment, folder, exits)
        for worker in (1, 2):
            it.start(worker)
        it.submit("warm-1", "warm-2")
        until(lambda: it.ended("warm-1", "warm-2"), "two jobs to warm up")
        yield it


def one_by_one(it: Running, count: int) -> dict[str, Any]:
    """Many jobs at once; beside them as many in a bare loop, with the same mocks."""
    jobs = [f"fox-{number}" for number in range(count)]
    it.submit(*jobs)
    until(lambda: it.ended(*jobs), "all jobs", JOB_SECONDS * count)
    bare_loop = [f"hen-{number}" for number in range(count)]
    it.loop(*bare_loop)
    ended = {one.job: one.at for one in it.reported("ended")}
    images, videos = (it.rows(step) for step in STEPS)
    kinds = {"turns": jobs, "loop": bare_loop}
    return {kind: figures(names, images, videos, ended=ended) for kind, names in kinds.items()}


def killed(it: Running, moment: str) -> dict[str, Any]:
    """`kill -9` of a worker, with all that it started, in the first of two jobs.

    Its video runs; or it is ordered, has been accepted, and the answer is on its way.
    """
    if moment == "order":
        late = {"where": "submit", "do": "delay", "with": {"seconds": "500"}}
        rules = {"rules": [late | {"name": "late", "often": {"first": 1}}]}
        at = f"{it.environment['PEER_VIDEOS']}/admin/faults"
        httpx.post(at, json=rules, trust_env=False).raise_for_status()
    it.submit(*JOBS)
    until(lambda: any(it.reported(moment, job) and it.paid(job)[1] for job in JOBS), moment)
    holder = next(one for one in it.reported(moment) if one.job in JOBS)
    kill_group(it.workers[holder.worker])
    if it.ended(holder.job):
        raise RuntimeError("the job had ended before the kill")
    killed_at, back = time.time(), None
    try:
        until(lambda: it.ended(*JOBS), "both jobs", seconds=AWAY_SECONDS)
    except TimeoutError:
        back = time.time()
        it.start(holder.worker)
        with contextlib.suppress(TimeoutError):
            until(lambda: it.ended(*JOBS), "both jobs, the worker being back", AWAY_SECONDS)
    roles = zip(("hit", "other"), sorted(JOBS, key=lambda job: job != holder.job), strict=True)
    return {
        "worker_back_after": back and round(back - killed_at, 2),
        "watched": round(time.time() - killed_at, 2),
        **{role: afterwards(it, job, killed_at) for role, job in roles},
    }


def afterwards(it: Running, job: str, at: float) -> dict[str, Any]:
    """What became of a job: seconds to each of its steps after an instant, and what it cost.

    `late`: from the end of its first video to its own.
    """
    steps = {one.what: round(one.at - at, 2) for one in it.reported(job=job) if one.at > at}
    videos = [instant(row["finished_at"]) or 0.0 for row in it.rows("video") if row["job"] == job]
    late = max(0.0, round(at + steps["ended"] - min(videos), 2)) if "ended" in steps else None
    return {"ended": it.ended(job), "paid": it.paid(job), "steps": steps, "late": late}
