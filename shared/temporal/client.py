"""Connect to Temporal: client settings, names, search attributes, each defined only here."""

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.common import SearchAttributeKey
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime
from temporalio.service import RPCError, RPCStatusCode

from shared.errors import TemporalUnavailable
from shared.redact import as_markdown
from shared.semaphore.client import QUERY_TIMEOUT as QUERY_TIMEOUT
from shared.semaphore.client import WORKFLOW_TASK_TIMEOUT as WORKFLOW_TASK_TIMEOUT
from shared.temporal.codec import PayloadKeys, data_converter
from shared.temporal.refusals import NOT_CONNECTED, refusal

# Without a build id the SDK reads the code of every module at each start, to hash it.
BUILD_ID = "unnamed"

PROGRESS_SIGNAL = "report_progress"
GET_PROGRESS_QUERY = "get_progress"
GET_RECORD_QUERY = "get_record"

CUSTOM_PROGRESS = SearchAttributeKey.for_int("CustomProgress")
CUSTOM_TAG = SearchAttributeKey.for_keyword("CustomTag")

# An HTTP caller gets an answer within this; the SDK by itself retries for 10 s.
CALL_SECONDS = 3.0

# What a client sees while the server is away or starting.
AWAY = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.UNKNOWN,
        RPCStatusCode.RESOURCE_EXHAUSTED,
    }
)


T = TypeVar("T")
# The server takes 400 bytes; a character has up to four, and one that is escaped two.
SUMMARY_LENGTH = 80


def summary(text: str) -> str:
    """Return a name's one-line text for Temporal's UI, which reads it as Markdown."""
    line = " ".join(text.split())
    return as_markdown(line if len(line) <= SUMMARY_LENGTH else line[: SUMMARY_LENGTH - 1] + "…")


def is_away(error: BaseException) -> bool:
    """True if the server can't be reached now, and a later try can help."""
    if isinstance(error, RPCError):
        return error.status in AWAY
    if isinstance(error, RuntimeError):
        # A lazy client raises this at its first call.
        return str(error).startswith(NOT_CONNECTED)
    return isinstance(error, TimeoutError | WorkflowUpdateRPCTimeoutOrCancelledError)


async def answer(call: Awaitable[T], *, seconds: float = CALL_SECONDS) -> T:
    """Return the answer to one call; raise TemporalUnavailable if the server is away or too slow.

    Raise TemporalRefuses if the server refuses us.
    """
    try:
        async with asyncio.timeout(seconds):
            return await call
    except Exception as error:
        if (refused := refusal(error)) is not None:
            raise refused from error
        if is_away(error):
            raise TemporalUnavailable("Temporal does not answer; try again in a moment.") from error
        raise


async def connect(
    keys: PayloadKeys, *, runtime: Runtime | None = None, lazy: bool = False
) -> Client:
    """Return a client by the SDK's standard settings (TEMPORAL_ADDRESS, namespace, TLS, API key).

    No configuration file is read, because its key would be sent to any server. `keys` encrypt
    payloads, `runtime` collects metrics. `lazy` connects at the first call, for services that must
    start while the server is away. Histories name the client by an identity of its own, because a
    container's process that starts again has the same process id and host name.
    """
    config: Any = ClientConfig.load_client_connect_config(disable_file=True)
    config.setdefault("target_host", "127.0.0.1:7233")
    return await Client.connect(
        **config,
        identity=f"{os.getpid()}-{secrets.token_hex(4)}@{socket.gethostname()}",
        data_converter=data_converter(keys),
        runtime=runtime,
        lazy=lazy,
    )
