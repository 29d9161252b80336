"""Finds and ends orphans: processes of this stack whose supervisor is gone, by a mark of ours."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from compose.stack.processes.launch import MARK

PATIENCE = 10.0


def pids(run_dir: Path) -> list[int]:
    """Ids of the living processes that carry our mark (none where the system has no /proc)."""
    wanted = os.fsencode(f"{MARK}={run_dir}")
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if wanted in _environ(entry)]


def _environ(entry: Path) -> list[bytes]:
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def end(run_dir: Path) -> int:
    """End them, first politely, and say how many there were."""
    found = pids(run_dir)
    for signum in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids(run_dir):
            with suppress(ProcessLookupError):
                os.kill(pid, signum)
        deadline = time.monotonic() + PATIENCE
        while pids(run_dir) and time.monotonic() < deadline:
            time.sleep(0.1)
    return len(found)
