"""The Temporal UI's codec endpoint: decrypts for the UI's own page, and only with a key set."""

import json
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request, Response
from google.protobuf.json_format import MessageToJson, ParseDict, ParseError
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.api.common.v1 import Payload, Payloads

from services.api.settings import ApiSettings
from shared.errors import GenvideoError, InvalidInput
from shared.http import problems
from shared.temporal.codec import PayloadKeys

PATH = "/codec"
# The headers that the UI's page sends.
HEADERS = ("Authorization", "Content-Type", "X-Namespace")


class NotTheUi(
    GenvideoError, code="not_the_ui", status=403, title="Only the Temporal UI may call this"
):
    """A page of another origin called the codec."""


class CodecMiddleware:
    """After access control and before all routes, because its answers go to another page."""

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app = app
        self._codec = codec_app(settings.payload_keys, origin_of_ui(settings))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and scope["path"].startswith(f"{PATH}/")
        await (self._codec if ours else self._app)(scope, receive, send)


def origin_of_ui(settings: ApiSettings) -> str:
    """Return the UI's `Origin`: without a path and a default port."""
    url = settings.temporal_ui_url
    default = {"http": 80, "https": 443}.get(url.scheme)
    return f"{url.scheme}://{url.host}" + ("" if url.port in (None, default) else f":{url.port}")


def codec_app(keys: PayloadKeys, ui: str) -> FastAPI:
    """Serve `POST /codec/decode`: `{"payloads": […]}` in the proto's JSON, both ways."""

    def from_the_ui(origin: Annotated[str | None, Header()] = None) -> None:
        if origin is not None and origin != ui:
            raise NotTheUi(f"{origin[:100]} is not {ui}.")

    app = FastAPI(openapi_url=None, dependencies=[Depends(from_the_ui)])
    problems.install(app)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[ui],
        allow_methods=["POST"],
        allow_headers=HEADERS,
        # If a token is set, the UI's page uses the cookie of a session.
        allow_credentials=True,
    )

    @app.post(f"{PATH}/decode")
    async def decode(request: Request) -> Response:
        decoded = Payloads(payloads=await keys.decode(await _payloads(request)))
        return Response(MessageToJson(decoded), media_type="application/json")

    return app


async def _payloads(request: Request) -> Sequence[Payload]:
    """Return the body's payloads."""
    try:
        body = json.loads(await request.body())
        if not isinstance(body, dict):
            raise ValueError
        return ParseDict(body, Payloads()).payloads
    except (ParseError, ValueError, RecursionError) as error:
        raise InvalidInput("body: not the JSON of Temporal's payloads.") from error
