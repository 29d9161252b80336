"""Asking the semaphore for the permit: the one way to a submit, for each try of each attempt."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import uuid4

import structlog
from temporalio import activity
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from services.worker.models import Order
from shared.errors import GateNotYet, NotYet, OutcomeUnknown
from shared.slot.messages import (
    ACQUIRE_UPDATE,
    FENCED,
    JOB_GATE,
    Acquire,
    Answer,
    Gate,
    Permit,
    semaphore_id,
)
from shared.slot.semaphores import start_semaphore
from shared.slot.watching import is_gone
from shared.temporal.client import is_away

log = structlog.get_logger(__name__)

# The server begins another try no sooner than the pace's `work` after it last heard of this one,
# and that is longer. An answer that is younger than this has not been slept over, nor lain behind a
# cut wire.
FRESH_SECONDS = 1.0
# Clocks that differ by more make us ask once more instead of comparing them.
SKEW_SECONDS = 0.5
PAUSE_SECONDS = 0.2


class Granted(NamedTuple):
    """The permit; `first`: no earlier try of the generation was ever given it."""

    permit: Permit
    first: bool


async def acquire_all(client: Client, order: Order, *, skew: float) -> Granted:
    """The permit of the slot, behind those of the stage's gates; NotYet or GateNotYet without.

    The slot comes first, for nobody waits for it with a gate in hand, and again at last: that
    answer is the one that has to be fresh when the submit follows.
    """
    for gate in (JOB_GATE, *order.gates) if order.gates else ():
        await acquire(client, order, gate, skew=skew)
    return await acquire(client, order, JOB_GATE, skew=skew)


async def acquire(client: Client, order: Order, gate: Gate, *, skew: float) -> Granted:
    """The permit of one gate, as soon as it is this run's turn, by a fresh word of the semaphore.

    `skew`: seconds by which our clock was ahead of the server's when this try began.
    """
    info = activity.info()
    ask = Acquire(
        request=order.request,
        fence=(order.stage, order.attempt, info.attempt),
        holds_seconds=order.holds_seconds,
    )
    while True:
        asked_at = time.monotonic()
        answer = await _answer(client, ask, gate)
        if answer is None or answer.again:
            continue
        if answer.permit is None:
            raise (NotYet if gate is JOB_GATE else GateNotYet)("It is not this run's turn.")
        if time.monotonic() - asked_at < FRESH_SECONDS or _is_fresh(answer, skew):
            return Granted(answer.permit, answer.first)
        log.info("the permit is asked for once more", gate=gate)


def _is_fresh(answer: Answer, skew: float) -> bool:
    """By the server's clock, where ours agreed with it when this try began."""
    age = (datetime.now(UTC) - answer.at).total_seconds()
    return abs(skew) < SKEW_SECONDS and -SKEW_SECONDS < age < FRESH_SECONDS


async def _answer(client: Client, ask: Acquire, gate: Gate) -> Answer | None:
    """The semaphore's answer; None, after a pause, where there is none now."""
    semaphore = client.get_workflow_handle(semaphore_id(gate))
    try:
        answer: Answer = await semaphore.execute_update(
            ACQUIRE_UPDATE, ask, id=uuid4().hex, result_type=Answer
        )
        return answer
    except WorkflowUpdateFailedError as error:
        if isinstance(error.cause, ApplicationError) and error.cause.type == FENCED:
            raise OutcomeUnknown("A later try of this step has asked before this one.") from None
        log.warning("the semaphore ended before it answered", gate=gate, reason=str(error.cause))
    except Exception as error:
        if _is_cancelled():
            # The SDK says so in the words of a time-out, which would be tried again for ever.
            raise asyncio.CancelledError from None
        if not (is_away(error) or (isinstance(error, RPCError) and _is_busy(error))):
            raise
        log.warning("the semaphore does not answer", gate=gate, reason=str(error))
    await asyncio.sleep(PAUSE_SECONDS)
    with suppress(RPCError):
        await start_semaphore(client, gate, requests=[ask.request])
    return None


def _is_busy(error: RPCError) -> bool:
    """Whether there is no semaphore now, or its workflow task has failed and is given out again."""
    return is_gone(error) or error.status is RPCStatusCode.FAILED_PRECONDITION


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
