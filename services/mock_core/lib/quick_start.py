"""The imports of a mock, which are most of its start, without what only makes them longer."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Other packages import it where it is installed, as it is for the load test; the image of a
# mock is without it, and nothing is printed by it.
UNUSED = "rich"


@contextmanager
def quick_start() -> Iterator[None]:
    """Import within it, once: what imports make stays, so that no garbage is looked for meanwhile,
    and none among it later.
    """
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
