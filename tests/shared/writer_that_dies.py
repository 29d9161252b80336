"""`python -m tests.shared.writer_that_dies DATA_DIR`: a write of a record, killed at each step.

Child after child writes the next version and is killed with SIGKILL one line of code later than
the one before it, until one comes through. Prints a JSON object a child: what could be read.
"""

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fixtures.records import RecordStore
from tests.shared.standins import sample_record

JOB_ID = "job-0123456789abcdef01234567"
# A prompt of this many bytes is more than a page, so that a half-written file would show.
LENGTH = 2500
# Our own code, and the library's that opens, fills, closes and renames the file for it.
TRACED = ("shared/store/records.py", "shared/store/folder.py", "shared/files.py", "/pathlib.py")


def main(data_dir: Path) -> None:
    """Until a child isn't killed any more."""
    store = RecordStore(data_dir)
    record = sample_record(JOB_ID).model_copy(update={"prompt": "x" * LENGTH})
    store.write(record)
    killed, step = True, 0
    while killed:
        step += 1
        killed = _in_a_child(step, store, version=record.version + 1)
        found = store.read(JOB_ID)
        version = found.version if found else None
        sys.stdout.write(json.dumps({"before": record.version, "read": version}) + "\n")
        if found is not None:
            record = found


def _in_a_child(step: int, store: RecordStore, *, version: int) -> bool:
    """Write in a child that dies at this step; whether it died."""
    child = os.fork()
    if child == 0:
        record = store.read(JOB_ID) or sample_record(JOB_ID)
        _die_at(step)
        store.write(record.model_copy(update={"version": version}))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _die_at(step: int) -> None:
    """Count the lines that are run from here on, and stop at one."""
    left = step

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.endswith(TRACED):
            return None
        if event in ("line", "return"):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
