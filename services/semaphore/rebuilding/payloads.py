"""What an event carries, read without trust: a job made by hand must not stop the semaphore."""

from typing import TypeVar, get_origin

import structlog
from temporalio.api.common.v1 import Payloads
from temporalio.converter import DataConverter

log = structlog.get_logger(__name__)

T = TypeVar("T")


async def read_one(converter: DataConverter, payloads: Payloads, kind: type[T]) -> T | None:
    """The single payload of an event; None where there is none, or it is something else."""
    if len(payloads.payloads) != 1:
        return None
    try:
        [value] = await converter.decode(payloads.payloads, [kind])
    except Exception as error:  # what a converter or a codec raises is open
        log.warning("unreadable payload", wanted=kind.__name__, reason=type(error).__name__)
        return None
    return value if isinstance(value, get_origin(kind) or kind) else None
