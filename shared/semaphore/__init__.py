"""A semaphore for Temporal: a permit lives exactly as long as its holder's run.

Use `async with Semaphore("gpu-pool", limit=4):` in a workflow, and run `semaphore_worker(client)`
or this package's command `serve` beside it.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .messages import CleanUp, Drain, Drained, SlotView

__all__ = ["CleanUp", "Drain", "Drained", "Semaphore", "SlotView", "semaphore_worker"]
logging.getLogger(__name__).addHandler(logging.NullHandler())


if TYPE_CHECKING:
    from .holding import Semaphore
    from .worker import semaphore_worker

_FROM = {"Semaphore": ".holding", "semaphore_worker": ".worker"}


def __getattr__(name: str) -> Any:
    """Import these only on access, because a workflow must not import the worker, and settings must
    not import the SDK."""
    if name not in _FROM:
        raise AttributeError(name)
    return getattr(import_module(_FROM[name], __name__), name)
