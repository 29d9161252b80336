"""The process that opens what vendors deliver: a question a line comes in, a verdict a line goes
out, and before it the parts of what is to be stored or sent.

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
from io import BytesIO
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from PIL import Image

from services.worker.results import media
from shared.jobs.states import Step

# Beyond what it has taken when it begins. The largest image that is allowed takes 160 MB, as a JPEG
# in many passes 400; a video of the largest frames, of which a decoder may keep 16, up to 230.
MEMORY_BYTES = 512 * 1024 * 1024
# Of the processor, for one file; the largest that is allowed takes some 6.
CPU_SECONDS = 30
MAX_FILES = 16
PART = 64 * 1024
READY = "ready"


class Parts(BytesIO):
    """What is written to it goes to the parent, in lines of their own, and is not kept."""

    def write(self, data: Any, /) -> int:
        for at in range(0, len(data), PART):
            _tell({"part": base64.b64encode(data[at : at + PART]).decode("ascii")})
        return len(data)


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


def _verdict(line: bytes) -> dict[str, Any]:
    request = json.loads(line)
    # The limit counts from the process's beginning.
    usage = resource.getrusage(resource.RUSAGE_SELF)
    until = math.ceil(usage.ru_utime + usage.ru_stime) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))
    path = Path(request["path"])
    try:
        if "limits" in request:
            media.fit(path, media.Limits(**request["limits"]), Parts())
        else:
            media.check(path, Step(request["step"]), request["kinds"], Parts())
    except media.Refused as refused:
        return {"verdict": refused.code, "reason": str(refused)}
    except OSError as error:
        return {"verdict": "storage_failed", "reason": f"Our disk: {error.strerror}"}
    return {"verdict": "good"}


def _tell(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
