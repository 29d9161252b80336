"""`make example-exclusive`: the example with the wheel alone, in an environment of its own.

Two workers, a worker of semaphores and a server that it starts, through `kill -9`, cancel,
terminate and a holder whose worker never comes back. Says what it saw; 1 where two were at work at
once.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import groupby
from pathlib import Path

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError

from tools import wheel

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
PATIENCE = 120.0
Job = WorkflowHandle[object, object]


class Scene:
    """The processes, and what was written of who was at work."""

    def __init__(self, folder: Path, processes: ExitStack) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.folder = folder
        self.book = folder / "book"
        self.book.touch()
        self.python = folder / "venv" / "bin" / "python"
        self._processes = processes

    def install(self) -> None:
        """The wheel, with what it depends on and nothing else."""
        made, uv = wheel.build(self.folder), str(BIN / "uv")
        subprocess.run([uv, "venv", "--quiet", self.folder / "venv"], check=True)
        command = [uv, "pip", "install", "--quiet", "--python", str(self.python), str(made)]
        subprocess.run(command, check=True)

    def run(self, *command: str | Path) -> "subprocess.Popen[bytes]":
        """A process that ends with the scene."""
        return self._processes.enter_context(_ended(command, self.folder))

    def worker(self, queue: str = "training") -> "subprocess.Popen[bytes]":
        return self.run(self.python, HERE / "exclusive.py", self.address, self.book, queue)

    def command(self, *words: str) -> str:
        """What the package's own command says."""
        called = [str(self.python), "-m", "temporal_semaphore", "--address", self.address, *words]
        done = subprocess.run(called, capture_output=True, text=True, check=True, cwd=self.folder)
        return done.stdout

    def lines(self) -> list[str]:
        """Who was at work, line by line, in the order of time."""
        written = [line.split() for line in self.book.read_text().splitlines()]
        return [job for _, job in sorted((float(at), job) for at, job in written)]

    async def until(self, reached: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not reached():  # noqa: ASYNC110 (a file is what tells)
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise SystemExit(f"not seen within {PATIENCE:g} s: {what}") from None

    async def at_work(self, job: str) -> None:
        await self.until(lambda: job in self.lines(), f"{job} at work")


@contextmanager
def _ended(command: tuple[str | Path, ...], folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def play(scene: Scene) -> None:
    """Each end in its turn; every job behind it has to come to its own."""
    host, port = scene.address.split(":")
    scene.run(BIN / "temporal", "server", "start-dev", "--headless", "--ip", host, "--port", port)
    client = await _connected(scene.address)
    scene.run(scene.python, "-m", "temporal_semaphore", "--address", scene.address, "serve")
    workers = [scene.worker(), scene.worker()]

    async def start(job: str, queue: str = "training") -> Job:
        return await client.start_workflow("Training", job, id=job, task_queue=queue)

    first = [await start(f"job-{number}:8") for number in range(3)]
    await scene.at_work("job-0:8")
    for worker in workers:
        worker.send_signal(signal.SIGKILL)
    workers[:] = [scene.worker(), scene.worker()]
    for job in first:
        await job.result()
    _say("both workers killed at work, and started again: all three jobs came to their end")

    ends = {"cancelled": Job.cancel, "terminated": Job.terminate}
    for how, end in ends.items():
        holder = await start(f"{how}:500")
        await scene.at_work(f"{how}:500")
        follower = await start(f"after-{how}:3")
        await end(holder)
        with suppress(WorkflowFailureError):
            await holder.result()
        await follower.result()
        _say(f"a holder {how}: the next one worked after it")

    lost = scene.worker("lost")
    holder = await start("lost:500", "lost")
    await scene.at_work("lost:500")
    follower = await start("after-lost:3")
    lost.send_signal(signal.SIGKILL)
    await asyncio.sleep(3)
    shown = scene.command("show", "gpu-pool")
    if "after-lost:3" in scene.lines() or "lost:500" not in shown:
        raise SystemExit(f"a place that is held was given on: {shown}")
    await holder.terminate()
    await follower.result()
    # The drain is over by now; the semaphore's timer tells that there was one.
    history = await client.get_workflow_handle("semaphore-gpu-pool").fetch_history()
    timers = [each for each in history.events if each.HasField("timer_started_event_attributes")]
    if not any(b"lost:500" in each.user_metadata.summary.data for each in timers):
        raise SystemExit("the place of a terminated run was given on without a drain")
    _say("a holder whose worker never came back held its place until it was terminated")

    if '"limit": 2' not in scene.command("limit", "gpu-pool", "2"):
        raise SystemExit("the limit was not changed")


async def _connected(address: str) -> Client:
    for _ in range(round(PATIENCE / 0.1)):
        try:
            return await Client.connect(address)
        except (RuntimeError, RPCError):
            await asyncio.sleep(0.1)
    raise SystemExit("the server did not come up")


def _say(text: str) -> None:
    print(f"ok   {text}", flush=True)  # noqa: T201


def judged(lines: list[str]) -> int:
    """1 where a job was at work again after another one had begun."""
    blocks = [job for job, _ in groupby(lines)]
    again = sorted({job for job in blocks if blocks.count(job) > 1})
    if again:
        print(f"TWO AT ONCE: {', '.join(again)} in {blocks}")  # noqa: T201
        return 1
    _say(f"{len(blocks)} jobs, and never two at work at once, in {len(lines)} moments")
    return 0


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as processes:
        scene = Scene(Path(folder), processes)
        scene.install()
        try:
            asyncio.run(play(scene))
        except BaseException:
            sys.stderr.write((scene.folder / "log").read_text()[-3000:])
            raise
        return judged(scene.lines())


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    sys.exit(main())
