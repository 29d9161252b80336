"""The Temporal UI's codec endpoint: decrypts for the UI's own page, and only with a key set."""

import json
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from google.protobuf.json_format import MessageToJson, ParseDict, ParseError
from temporalio.api.common.v1 import Payload, Payloads

from services.api.http.access import CODEC
from services.api.settings import ApiSettings
from shared.errors import GenvideoError, InvalidInput

# The headers that the UI's page sends.
UI_HEADERS = ("Authorization", "Content-Type", "X-Namespace")


class NotTheUi(GenvideoError, status=403, title="Only the Temporal UI may call this"):
    """A page of another origin called the codec."""


def origin_of_ui(settings: ApiSettings) -> str:
    """Return the UI's `Origin`: without a path and a default port."""
    url = settings.temporal_ui_url
    default = {"http": 80, "https": 443}.get(url.scheme)
    return f"{url.scheme}://{url.host}" + ("" if url.port in (None, default) else f":{url.port}")


def codec(settings: ApiSettings) -> APIRouter:
    """`POST /codec/decode`: `{"payloads": […]}` in the protobuf JSON form, in both directions."""
    router, ui = APIRouter(include_in_schema=False), origin_of_ui(settings)

    @router.post(CODEC)
    async def decode(request: Request, origin: Annotated[str | None, Header()] = None) -> Response:
        if origin is not None and origin != ui:
            raise NotTheUi(f"{origin[:100]} is not {ui}.")
        decoded = await settings.payload_keys.decode(await _payloads(request))
        return Response(MessageToJson(Payloads(payloads=decoded)), media_type="application/json")

    return router


async def _payloads(request: Request) -> Sequence[Payload]:
    try:
        body = json.loads(await request.body())
        if not isinstance(body, dict):
            raise ValueError
        return ParseDict(body, Payloads()).payloads
    except (ParseError, ValueError, RecursionError) as error:
        raise InvalidInput("body: not the JSON of Temporal's payloads.") from error
