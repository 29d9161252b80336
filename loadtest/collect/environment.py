"""On what a run was made: machine, versions and code, for a reader who wants to repeat it."""

import os
import platform
import subprocess
from importlib.metadata import version
from typing import Any


def environment(server_version: str) -> dict[str, Any]:
    """What is known of this machine and of the versions in play."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "server": server_version,
        "sdk": version("temporalio"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "code": _commit(),
    }


def _commit() -> str:
    """The commit of the code: named by whoever built the image, or asked of git."""
    named = os.environ.get("GIT_COMMIT")
    if named:
        return named
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607 - from the path
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() or "unknown"
