"""Services of a mutant's code, forked from a process that has imported every library.

Imports of libraries are half of what a service's start costs, and a mutant needs four services.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fixtures.processes import alive, gone
from tests.mutants.product import libraries

# A line for each service comes in, and its process id goes out. A fork ends with this process, and
# this one with the process that started it.
FORKS = """
import contextlib, ctypes, gc, importlib, json, os, runpy, signal, sys
for name in sys.argv[1:]:
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
gc.freeze()
own = os.getpid()
for line in iter(sys.stdin.readline, ""):
    asked = json.loads(line)
    if pid := os.fork():
        print(pid, flush=True)
        continue
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != own:
        os._exit(1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.path.insert(0, asked["code"])
    sys.argv = [asked["module"]]
    runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
    break
"""


@dataclass
class Fork:
    """A forked service that answers on `base`."""

    pid: int
    base: str

    def send_signal(self, how: signal.Signals) -> None:
        """Send it, unless the service has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, how)


class Forks:
    """Forks services, each of any code; they end with the block of `forking`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def running(
        self, module: str, port: int, *, environment: dict[str, str], log: Path, code: Path
    ) -> AsyncIterator[Fork]:
        """`python -m module` of this code, from the moment it is alive; killed at the end."""
        own = {**os.environ, **environment, "PYTHONPATH": str(code)}
        asked = {"module": module, "environment": own, "log": str(log), "code": str(code)}
        fork = Fork(await self._forked(json.dumps(asked)), f"http://127.0.0.1:{port}")
        ending = asyncio.create_task(gone(fork.pid))
        try:
            await alive(fork.base, ending.done)
            yield fork
        finally:
            if not ending.done():
                fork.send_signal(signal.SIGKILL)
            await ending

    async def _forked(self, line: str) -> int:
        way_in, way_out = self._process.stdin, self._process.stdout
        assert way_in is not None
        assert way_out is not None
        async with self._lock:
            way_in.write(f"{line}\n".encode())
            return int(await way_out.readline())


@asynccontextmanager
async def forking() -> AsyncIterator[Forks]:
    """The process that forks, for as long as the block runs."""
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-P", "-c", FORKS, *sorted(set(libraries()))]
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    try:
        yield Forks(process)
    finally:
        process.kill()
        await process.wait()
