"""The process that opens one stored picture and writes a thumbnail to its output.

It can open no file for writing, and has limits of memory and processor time; only its status
reports a failure.
"""

import resource
import sys

from PIL import Image

SIDE = 96
MEMORY_BYTES = 768 * 1024 * 1024
CPU_SECONDS = 10


def main(path: str) -> None:
    """Confine this process, then make the thumbnail."""
    Image.init()
    for what, limit in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(what, (limit, limit))
    with Image.open(path, formats=("PNG",)) as picture:
        picture.draft("RGB", (SIDE, SIDE))
        small = picture.convert("RGB")
        small.thumbnail((2 * SIDE, SIDE))
        small.save(sys.stdout.buffer, "JPEG", quality=80)
