"""The process that opens what vendors deliver: a path a line comes in, a verdict a line goes out,
with what is to be kept of a good file.

Where limits come with the path, the file is a stored picture that is to be brought within them.

It imports nothing that knows a setting, a network or a vendor. It can write no file, take little
memory and, for each file, little time of the processor; beyond that it dies, and its parent tells
of it. It ends at once when its parent does.
"""

import base64
import json
import math
import os
import resource
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from PIL import Image

from services.worker.results import fitting, media
from services.worker.results.pieces import as_json
from services.worker.results.refusals import Refused
from shared.jobs.assets import Kind
from shared.jobs.states import Step

# Beyond what it has taken when it begins. The largest image that is allowed takes 160 MB, as a JPEG
# in many passes 400; a video of the largest frames, of which a decoder may keep 16, up to 230.
MEMORY_BYTES = 512 * 1024 * 1024
# Of the processor, for one file; the largest that is allowed takes about 1.
CPU_SECONDS = 10
MAX_FILES = 16
READY = "ready"


def main() -> None:
    """Answer until the input ends."""
    requests: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    Image.preinit()
    _confine()
    _tell({"verdict": READY})
    while True:
        _tell(_verdict(requests.get()))


def _read(requests: SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        requests.put(line)
    # The parent is gone; nobody waits for what is being checked.
    os._exit(0)


def _confine() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    memory = pages * resource.getpagesize() + MEMORY_BYTES
    for what, limit in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, MAX_FILES),
    ):
        resource.setrlimit(what, (limit, limit))


def _allow_time() -> None:
    """The limit counts from the process's beginning."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    until = math.ceil(usage.ru_utime + usage.ru_stime) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _verdict(line: bytes) -> dict[str, Any]:
    request = json.loads(line)
    _allow_time()
    try:
        return {"verdict": "good", **_answer(request)}
    except Refused as refused:
        return {"verdict": refused.code, "reason": str(refused)}
    except OSError as error:
        return {"verdict": "storage_failed", "reason": f"Our disk: {error.strerror}"}


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    path = Path(request["path"])
    if "limits" in request:
        new = fitting.fit(path, fitting.Limits(**request["limits"]))
        return {} if new is None else {"new": base64.b64encode(new).decode("ascii")}
    checked = media.check(path, Step(request["step"]), [Kind(each) for each in request["kinds"]])
    pieces = None if checked.pieces is None else as_json(checked.pieces)
    return {"kind": checked.kind, "pieces": pieces}


def _tell(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
