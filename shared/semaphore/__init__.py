"""A semaphore for Temporal: a permit lives exactly as long as its holder's run.

In a workflow `async with Semaphore("gpu-pool", limit=4):`; beside it `semaphore_worker(client)`, or
the command of this package, `serve`.
"""

import logging
from typing import Any

from .holding import Semaphore
from .messages import CleanUp, Drain, Drained, SlotView

__all__ = ["CleanUp", "Drain", "Drained", "Semaphore", "SlotView", "semaphore_worker"]
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    """The worker only where it is asked for: a workflow must not import it."""
    if name != "semaphore_worker":
        raise AttributeError(name)
    from .worker import semaphore_worker

    return semaphore_worker
