"""A Temporal server as a child of ours: it can be killed, frozen and started again at will."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from pathlib import Path

from tests.stack.driver import ROOT

PATIENCE = 60.0
PAUSE = 0.05


class Server:
    """The stack's own server, with its own arguments and a database that outlives it."""

    def __init__(self, data_dir: Path, port: int, ui_port: int) -> None:
        self.port = port
        self._log = data_dir / "logs" / "temporal.log"
        self._env = dict(os.environ) | {
            "DATA_DIR": str(data_dir),
            "LISTEN_HOST": "127.0.0.1",
            "TEMPORAL_PORT": str(port),
            "TEMPORAL_UI_PORT": str(ui_port),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        self._process: Process
        self._one_at_a_time = asyncio.Lock()
        for folder in (data_dir / "temporal", self._log.parent):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def pid(self) -> int:
        """Its process id as long as it lives."""
        return self._process.pid

    async def start(self) -> None:
        """Start it, and return when it takes connections; one that ends at once is tried again."""
        await self._spawn()
        async with asyncio.timeout(PATIENCE):
            while not await self._answers():
                if self._process.returncode is not None:
                    await self._spawn()
                await asyncio.sleep(PAUSE)

    async def _spawn(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(ROOT / "compose" / "temporal.sh"),
                env=self._env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def kill(self) -> None:
        """SIGKILL, and a new start."""
        async with self._one_at_a_time:
            self._process.kill()
            await self._process.wait()
            await self.start()

    async def restart(self) -> None:
        """An orderly end, and a new start."""
        async with self._one_at_a_time:
            await self.stop()
            await self.start()

    async def stop(self) -> None:
        """An orderly end; by force where that takes too long."""
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), PATIENCE / 2)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True
