"""A caller's order, by either wire: which orders the vendor refuses, and with which code."""

import ipaddress
from typing import Any

import httpx
from fastapi import Request
from starlette.responses import Response

from services.mock_core.calls import Reply, requested, submit
from services.mock_core.client import may_call
from services.mock_core.ledger import Generation
from services.mock_core.mock import Mock
from services.mock_core.problems import Problem, problem_reply
from services.mock_kling.settings import config_of
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
_BY_STATUS = {400: 1200, 401: 1000, 403: 1103, 404: 1203, 429: 1302, 503: 5001, 504: 5002}
BAD_MEMBER = DUPLICATE = 1201
PACK_USED_UP, POOL_FULL = 1102, 1303
_INSIDE = (".localhost", ".local", ".internal", ".localdomain")


def resolve(status: int | None, code: int | str | None) -> tuple[int, int | str, str]:
    """Fill in status, code and message of a refusal; 5001 by default."""
    if code is None:
        code = _BY_STATUS.get(status or 503, 5000)
    usual, message = CODES.get(int(code) if str(code).isdecimal() else 0, (503, "refused"))
    return status or usual, code, message


def refuse(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    """Send a refusal of the plain wire; the vendor's table fills in missing members."""
    status, code, usual = resolve(status, code)
    return problem_reply(status, code, detail=message or usual, headers=headers)


async def order(
    request: Request,
    mock: Mock,
    *,
    external_id: str | None,
    prompt: str,
    image: str | bytes,
    callback_url: str | None,
    public: bool = False,
    detail: dict[str, Any],
    reply: Reply,
    shape: Shape,
) -> Response:
    """Accept a task, or refuse it in the form of the wire; `image` is an address or the picture.

    Raises a Problem (1201) if the callback address is not allowed; with `public` also if only this
    machine or its network has it.
    """
    if callback_url is not None and public and not _is_public(callback_url):
        raise Problem(400, BAD_MEMBER, detail="callback_url is not a public address")
    if callback_url is not None and not may_call(callback_url, request.app.state.callback_hosts):
        reason = "the callback_url's host is not in MOCK_CALLBACK_HOSTS"
        raise Problem(400, BAD_MEMBER, detail=reason)
    wanted = requested(request, mock, id_=new_task_id(), external_id=external_id, prompt=prompt)
    wanted.callback_url, wanted.image_source, wanted.detail = callback_url, image, detail
    account: Account = request.app.state.account

    def turned_away(wanted: Generation) -> Response | None:
        config = config_of(mock)
        if not account.may_submit(config.rate, mock.clock.now()):
            return shape(None, config.rate.code, None, {})
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

    return await submit(mock, wanted, reply=reply, admission=turned_away, shape=shape)


def _is_public(address: str) -> bool:
    """True if the name looks public; nothing is resolved."""
    try:
        host = httpx.URL(address).host
    except (httpx.InvalidURL, ValueError):
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host.rstrip(".") and not host.rstrip(".").endswith(_INSIDE)
