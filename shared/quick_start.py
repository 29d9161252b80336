"""Import a service's modules quickly: imports are most of its start."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Other packages import it if it is installed, as for the load test; the image of a service lacks
# it.
UNUSED = "rich"


@contextmanager
def quick_start() -> Iterator[None]:
    """Import modules inside this block, once: the garbage collector is off, and ignores the
    imported objects later."""
    modules: dict[str, Any] = sys.modules
    hidden = modules.setdefault(UNUSED, None) is None
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        if hidden:
            del modules[UNUSED]
