"""`make example-speech`: two pipelines on one slot, through faults, `kill -9` and a terminate.

It starts a stack of its own, in either mode, and prints what it saw. It exits with 1 if the ledgers
show two jobs at once, or one generation paid twice.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client

from compose.stack.machine import ports_of_a_stack
from examples.speech.stack import SERVICES

ROOT = Path(__file__).resolve().parents[2]
JOBS = 6
PATIENCE = 180.0
MOCKS = ("COMFYUI_PORT", "KLING_PORT", "SPEECH_PORT")
ENDED = {"succeeded", "degraded", "failed", "cancelled"}
Row = dict[str, Any]
# One for all calls: to make one takes longer than most of them.
HTTP = httpx.Client(timeout=60, trust_env=False)


@dataclass(frozen=True)
class Stack:
    """A stack with data, ports and project of its own."""

    settings: dict[str, str]

    def make(self, *words: str, good: bool = True) -> str:
        """Return the output of a target; exit if it fails and should be `good`."""
        drop = ("MAKEFLAGS", "MAKELEVEL", "TEMPORAL_ADDRESS")
        env = {k: v for k, v in os.environ.items() if k not in drop} | self.settings
        command = ["make", "--no-print-directory", *words]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
        if good and done.returncode:
            raise SystemExit(f"make {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def get(self, port: str, path: str) -> Any:
        return HTTP.get(f"http://127.0.0.1:{self.settings[port]}{path}").json()

    def submit(self, body: Row) -> str:
        url = f"http://127.0.0.1:{self.settings['API_PORT']}/jobs"
        answer = HTTP.post(url, json=body)
        if answer.status_code != 202:
            raise SystemExit(f"POST /jobs {body}: {answer.text}")
        return str(answer.json()["job_id"])

    def job(self, job_id: str) -> Row:
        return dict(self.get("API_PORT", f"/jobs/{job_id}"))

    def ledger(self) -> list[Row]:
        """Return every generation that the mocks have accepted."""
        return [row for port in MOCKS for row in self.get(port, "/admin/ledger")]

    def killer(self, service: str) -> Callable[[], None]:
        """Return what kills each process of a service with signal 9, at once.

        In a container the process dies and not the container, which the engine would not restart.
        """
        rows = [line.split(maxsplit=4) for line in self.make("ps", good=False).splitlines()]
        found = {row[1]: re.search(r"pid (\d+)", row[4]) for row in rows if row[0] == service}

        def kill() -> None:
            for name, pid in found.items():
                if pid:
                    os.kill(int(pid[1]), signal.SIGKILL)
                else:
                    kill = "kill -9 $(cat /proc/1/task/1/children)"
                    subprocess.run(["docker", "exec", name, "bash", "-c", kill], check=True)  # noqa: S607

        return kill


def until(reached: Callable[[], Any], what: str) -> Any:
    """Return the value of `reached` once it is true; exit after PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while not (found := reached()):
        if time.monotonic() > deadline:
            raise SystemExit(f"not seen within {PATIENCE:g} s: {what}")
        time.sleep(0.1)
    return found


def play(stack: Stack) -> None:
    """Submit jobs of both pipelines; kill the workers and terminate a job meanwhile."""
    stack.make("up")
    stack.make("fault", "PRESET=everything-at-once")
    orders: list[Row] = []
    for number in range(JOBS):
        orders.append({"prompt": f"a lighthouse, {number}", "tag": "example"})
        text = f"Ladies and gentlemen, this is announcement number {number}."
        orders.append({"pipeline": "speech", "text": text, "tag": "example"})
    jobs = [stack.submit(order) for order in orders]
    _say(f"{len(jobs)} jobs of both pipelines wait for one slot")

    for service, pipeline in (("speech", "speech"), ("worker", "genvideo")):
        kill = stack.killer(service)
        until(partial(_at_work, stack, jobs, pipeline), f"a {pipeline} job at work")
        kill()
        _say(f"{service}: killed with a {pipeline} job at work")
    victim = until(lambda: _at_work(stack, jobs, "speech"), "another speech job at work")
    asyncio.run(_terminate(stack, victim))
    _say(f"{victim}: terminated at work")

    until(lambda: all(stack.job(each)["status"] in ENDED for each in jobs), "the end of all jobs")
    until(lambda: not stack.get("API_PORT", "/slots")["holders"], "a free slot")
    ends = Counter((job["pipeline"], job["status"]) for job in map(stack.job, jobs))
    _say(", ".join(f"{count} {what} {how}" for (what, how), count in sorted(ends.items())))
    hits = sum(stack.get(port, "/admin/stats")["faults_injected"] for port in MOCKS)
    _say(f"{hits} faults injected")
    others = [job for job in map(stack.job, jobs) if job["job_id"] != victim]
    if not hits:
        raise SystemExit("no fault has hit anything")
    if bad := [job for job in others if job["status"] != "succeeded"]:
        raise SystemExit(f"ended badly: {bad}")


def _at_work(stack: Stack, jobs: Iterable[str], pipeline: str) -> str | None:
    """Return a job of this pipeline that a vendor works for."""
    running = stack.get("API_PORT", "/jobs?status=running")["jobs"]
    mine = {job["job_id"] for job in running if job["pipeline"] == pipeline} & {*jobs}
    at_work = {_job_of(row) for row in stack.ledger() if row["finished_ts"] is None}
    return next(iter(mine & at_work), None)


async def _terminate(stack: Stack, job_id: str) -> None:
    client = await Client.connect(f"127.0.0.1:{stack.settings['TEMPORAL_PORT']}")
    await client.get_workflow_handle(job_id).terminate("the example's check")


def judged(rows: list[Row]) -> int:
    """Return 1 if two jobs were at a vendor at once, or a generation was charged twice."""
    spans: dict[str, tuple[float, float]] = {}
    for row in rows:
        begin, end = spans.get(_job_of(row), (float("inf"), 0.0))
        finished = float(row["finished_ts"] or "inf")
        spans[_job_of(row)] = min(begin, row["accepted_ts"]), max(end, finished)
    wrong: list[str] = []
    busy, busy_until = "", 0.0
    for job, (begin, end) in sorted(spans.items(), key=lambda each: each[1]):
        if begin < busy_until:
            wrong.append(f"TWO AT ONCE: {busy} and {job}")
        if end > busy_until:
            busy, busy_until = job, end
    charged = Counter(row["external_id"] for row in rows if row["charged"])
    wrong += [f"PAID TWICE: {ours}" for ours, count in charged.items() if count > 1]
    for line in wrong:
        print(line)  # noqa: T201
    if not wrong:
        _say(f"{len(spans)} jobs, {len(rows)} generations: never two jobs at once, none paid twice")
    return 1 if wrong else 0


def _job_of(row: Row) -> str:
    return str(row["external_id"]).partition(".")[0]


def _say(text: str) -> None:
    print(f"ok   {text}", flush=True)  # noqa: T201


def main() -> int:
    extra = tuple(service.port for service in SERVICES)
    with tempfile.TemporaryDirectory(prefix="genvideo-speech-") as folder:
        ports = ports_of_a_stack(more=extra)
        stack = Stack(
            {name: str(port) for name, port in ports.items()}
            | {
                "MODE": os.environ.get("MODE") or "auto",
                "COMPOSE_PROJECT_NAME": "genvideo-example-speech",
                "DATA_DIR": f"{folder}/data",
                "REPORTS_DIR": f"{folder}/reports",
                "PIPELINES": "examples.speech.definition:SPEECH",
                # A second for a speech: long enough to be seen at work, and killed.
                "MOCK_SPEED": "60",
                "MOCK_SPEECH_SECONDS": "60",
                "NO_COLOR": "1",
            }
        )
        try:
            play(stack)
            return judged(stack.ledger())
        finally:
            stack.make("clean", "YES=1")


if __name__ == "__main__":
    sys.exit(main())
