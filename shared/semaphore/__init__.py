"""A semaphore for Temporal: a permit lives exactly as long as its holder's run.

Use `async with Semaphore("gpu-pool", limit=4):` in a workflow, and run `semaphore_worker(client)`
or this package's command `serve` beside it.
"""

import logging
from typing import Any

from .holding import Semaphore
from .messages import CleanUp, Drain, Drained, SlotView

__all__ = ["CleanUp", "Drain", "Drained", "Semaphore", "SlotView", "semaphore_worker"]
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    """Import the worker only on access, because a workflow must not import it."""
    if name != "semaphore_worker":
        raise AttributeError(name)
    from .worker import semaphore_worker

    return semaphore_worker
