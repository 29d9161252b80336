"""One call of a vendor, and its answer as far as we read it: as it is sent, small, and soon."""

import asyncio
from typing import Any

import httpx

from services.worker.vendors.failures import sort_exception
from shared.errors import OutcomeUnknown
from shared.http.client import CONNECT_SECONDS, is_identity

# A hundred times the longest one that a vendor of ours gives.
MAX_BYTES = 1024 * 1024
# From the first byte of the call to the last one of the answer, however slowly that comes.
ANSWER_SECONDS = 30.0
# A slow line takes so many bytes of a picture in a second.
SLOWEST = 50_000
# What is read of an answer's head, beside its status.
KEPT = ("retry-after", "date")


async def ask(
    http: httpx.AsyncClient,
    method: str,
    path: str,
    *,
    most: int = MAX_BYTES,
    picture_bytes: int = 0,
    **kwargs: Any,
) -> httpx.Response:
    """The whole answer; a refusal that can't be read has no body, and its status alone counts.

    A VendorError where there is no answer; OutcomeUnknown for one that is encoded, of more than
    `most` bytes, or not whole after ANSWER_SECONDS. Where a picture is sent along, there is the
    time that it takes on a slow line, too, and each read and write may last as long as all of it.
    """
    seconds = ANSWER_SECONDS + picture_bytes / SLOWEST
    if picture_bytes:
        kwargs["timeout"] = httpx.Timeout(seconds, connect=CONNECT_SECONDS)
    try:
        async with (
            asyncio.timeout(seconds),
            http.stream(method, path, **kwargs) as response,
        ):
            body = await _read(response, most)
    except httpx.HTTPError as error:
        raise sort_exception(error) from None
    except TimeoutError:
        raise OutcomeUnknown(f"No whole answer within {seconds:g} s.") from None
    return httpx.Response(
        response.status_code,
        headers={name: response.headers[name] for name in KEPT if name in response.headers},
        content=body,
    )


async def _read(response: httpx.Response, most: int) -> bytes:
    try:
        return await _bounded(response, most)
    except OutcomeUnknown:
        if response.is_success:
            raise
        return b""


async def _bounded(response: httpx.Response, most: int) -> bytes:
    if not is_identity(response):
        raise OutcomeUnknown("The vendor's answer is encoded, which was not asked for.")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most:
            raise OutcomeUnknown(f"The vendor's answer is larger than {most} bytes.")
    return bytes(body)
