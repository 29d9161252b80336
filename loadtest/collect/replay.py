"""Replaying the kept histories by a program that has the workflow's code; this one has not."""

import json
import shlex
import subprocess
from typing import Any

from loadtest.books import raw, seal
from loadtest.books.raw import RunFolder

SECONDS = 600


def replay(folder: RunFolder, command: str) -> dict[str, Any]:
    """Run `command` with the folder of histories behind it, and note what it printed.

    Its last line is `{"replayed": n, "failures": {job_id: why}}`; anything else is a failure.
    """
    found = _run([*shlex.split(command), str(folder.histories)])
    found["kept"] = sum(1 for _ in folder.histories.glob("*.json"))
    folder.write(raw.REPLAY, found)
    seal.add(folder, folder.raw / raw.REPLAY)
    return found


def _run(command: list[str]) -> dict[str, Any]:
    try:
        ended = subprocess.run(  # noqa: S603 - the user's own command
            command, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        body = json.loads((ended.stdout.splitlines() or [""])[-1])
        return {"replayed": int(body["replayed"]), "failures": dict(body["failures"])}
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"replayed": 0, "failures": {"": str(error)}}
    except (ValueError, KeyError, TypeError):
        said = (ended.stderr or ended.stdout).strip().splitlines()
        return {"replayed": 0, "failures": {"": f"status {ended.returncode}: {said[-1:]}"}}
