"""A caller's order, by either wire: whom the vendor refuses, and with which of its codes."""

import ipaddress
from typing import Any, cast

import httpx
from fastapi import Request
from starlette.responses import Response

from services.mock_core.calls import Reply, over_quota, requested, submit
from services.mock_core.client import may_call
from services.mock_core.ledger import Generation
from services.mock_core.mock import Mock
from services.mock_core.problems import Problem
from services.mock_core.runner import GenerationError
from services.mock_core.settings import called
from services.mock_kling.settings import KlingConfig, KlingSettings
from services.mock_kling.tasks import Account, new_task_id
from shared.http.problems import Shape

CODES: dict[int, tuple[int, str]] = {
    1000: (401, "authentication failed"),
    1001: (401, "authorization is empty"),
    1002: (401, "authorization is invalid"),
    1003: (401, "authorization is not yet valid"),
    1004: (401, "authorization has expired"),
    1100: (429, "account exception"),
    1101: (429, "account in arrears"),
    1102: (429, "resource pack is used up or has expired"),
    1103: (403, "no right to this resource"),
    1200: (400, "invalid request parameters"),
    1201: (400, "invalid parameters"),
    1202: (404, "the requested method is invalid"),
    1203: (404, "the requested resource does not exist"),
    1300: (400, "the platform's policy was triggered"),
    1301: (400, "the content security policy was triggered"),
    1302: (429, "too many requests"),
    1303: (429, "parallel tasks over the limit of the resource pack"),
    1304: (429, "the IP address is not on the whitelist"),
    5000: (500, "internal error"),
    5001: (503, "service temporarily unavailable"),
    5002: (504, "internal time-out"),
}
_BY_STATUS = {
    400: 1200,
    401: 1000,
    403: 1103,
    404: 1203,
    429: 1302,
    500: 5000,
    503: 5001,
    504: 5002,
}


def resolve(status: int | None, code: int | str | None) -> tuple[int, int | str, str]:
    """Fill in status, code and message of a refusal; 5001 by default."""
    if code is None:
        code = _BY_STATUS.get(status or 503, 5000)
    listed = CODES.get(int(code)) if str(code).isdecimal() else None
    usual, message = listed or (503, "refused")
    return status or usual, code, message


BAD_MEMBER = 1201
_INSIDE = (".localhost", ".local", ".internal", ".localdomain")


class Reach:
    """Says of an address whether it may be called."""

    def __init__(self, settings: KlingSettings) -> None:
        self._callbacks = called(settings.mock_callback_hosts)
        self._pictures = called(settings.mock_picture_hosts)

    def check_callback(self, url: str | None, *, public: bool = False) -> None:
        """Raise a Problem (400, code 1201) if this callback address is not allowed.

        `public`: refuse also addresses that only this machine or its network has.
        """
        if url is not None and public and not _is_public(url):
            raise Problem(400, BAD_MEMBER, detail="callback_url is not a public address")
        if url is not None and not may_call(url, self._callbacks):
            reason = "the callback_url's host is not in MOCK_CALLBACK_HOSTS"
            raise Problem(400, BAD_MEMBER, detail=reason)

    def check_picture(self, url: str) -> None:
        """Raise GenerationError if this address is not allowed; the vendor finds out late, too."""
        if not may_call(url, self._pictures):
            raise GenerationError("image download failed: its host is not in MOCK_PICTURE_HOSTS")


def _is_public(address: str) -> bool:
    """True by the name only; nothing is resolved."""
    try:
        host = httpx.URL(address).host
    except (httpx.InvalidURL, ValueError):
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host.rstrip(".") and not host.rstrip(".").endswith(_INSIDE)


PACK_USED_UP = 1102
DUPLICATE = 1201
POOL_FULL = 1303
# A rule's quota has the rule's name, which can't be empty.
_RATE = ""


async def take(request: Request, generation: Generation, *, reply: Reply, shape: Shape) -> Response:
    """Accept a task, or refuse it in the words of the wire."""
    mock: Mock = request.app.state.mock
    account: Account = request.app.state.account

    def turned_away(wanted: Generation) -> Response | None:
        config = cast(KlingConfig, mock.config)
        rate = config.rate
        if rate.tasks and over_quota(mock, _RATE, submits=rate.tasks, seconds=rate.seconds):
            return shape(None, rate.code, None, {})
        if not account.may_order(config.pack):
            return shape(None, PACK_USED_UP, None, {})
        known = mock.ledger.by_external(wanted.external_id or "")
        if known is not None and config.duplicates == "first":
            return reply(known)
        if known is not None and config.duplicates == "reject":
            return shape(None, DUPLICATE, "external_task_id is already in use", {})
        if config.places and mock.ledger.in_flight >= config.places:
            return shape(None, POOL_FULL, None, {})
        return None

    return await submit(mock, generation, reply=reply, admission=turned_away, shape=shape)


def ordered(
    request: Request,
    mock: Mock,
    *,
    external_id: str | None,
    prompt: str,
    image: str | bytes,
    callback_url: str | None,
    public: bool = False,
    detail: dict[str, Any],
) -> Generation:
    """Check and price an order; `image` is an address or the picture itself.

    Raises a Problem (1201) if the callback address is not allowed; with `public` also if only this
    machine or its network has it.
    """
    request.app.state.reach.check_callback(callback_url, public=public)
    generation = requested(request, mock, id_=new_task_id(), external_id=external_id, prompt=prompt)
    generation.callback_url, generation.image_source = callback_url, image
    generation.detail = detail
    return generation
