"""Both builds on the same work, one after the other; the control's processes end with the run."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from rich.console import Console

from loadtest.books.raw import RunFolder
from loadtest.run.plan import Plan
from loadtest.run.session import command, run_plan
from loadtest.settings import Settings
from loadtest.wire.http import Http, Unreachable

WORKERS = 2
START_SECONDS, STOP_SECONDS = 20.0, 5.0


async def run_both(
    settings: Settings, plan: Plan, *, console: Console
) -> tuple[RunFolder, RunFolder]:
    """Run the plan against the running stack, then against the control with the same mocks."""
    line = command(plan.seed)
    ours, _ = await run_plan(settings, plan, command=line, console=console)
    data_dir = ours.path.resolve() / "control"
    async with control(settings, data_dir) as there:
        line += "  # the control"
        theirs, _ = await run_plan(there, plan, command=line, console=console)
    return ours, theirs


@contextlib.asynccontextmanager
async def control(settings: Settings, data_dir: Path) -> AsyncIterator[Settings]:
    """The control's API and workers as processes; yields settings that reach them."""
    await asyncio.to_thread(data_dir.mkdir, parents=True)
    # Bound here and handed on, so that nobody takes the port meanwhile; a request that comes before
    # the process listens waits in the backlog.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        update = {"api_url": url, "callback_url": url, "data_dir": data_dir}
        there = settings.model_copy(update=update)
        handed = listener.fileno()
        processes = [await _start(there, "api", str(handed), handed=[handed])]
    processes += [await _start(there, "worker") for _ in range(WORKERS)]
    try:
        await _until_ready(url)
        yield there
    finally:
        await asyncio.gather(*map(_end, processes))


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _start(
    settings: Settings, *role: str, handed: Sequence[int] = ()
) -> asyncio.subprocess.Process:
    """One process of the control; it inherits the descriptors that are handed on."""
    environment = os.environ | {
        "DATA_DIR": str(settings.data_dir),
        "IMAGE_SERVICE_URL": settings.image_service_url,
        "VIDEO_SERVICE_URL": settings.video_service_url,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest.control", *role, env=environment, pass_fds=handed
    )


async def _until_ready(url: str) -> None:
    async with asyncio.timeout(START_SECONDS), Http(url, timeout=1) as http:
        while True:
            with contextlib.suppress(Unreachable):
                if (await http.get("/readyz")).ok:
                    return
            await asyncio.sleep(0.1)
