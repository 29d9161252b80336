"""The Temporal UI's codec endpoint: decrypts for the UI's own page, and only with a key set."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request, Response
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.api.common.v1 import Payload, Payloads

from services.api.settings import ApiSettings
from shared import problems
from shared.codec import PayloadKeys
from shared.errors import GenvideoError, InvalidInput

PATH = "/codec"
# A payload has up to 2 MiB, a third more in base64.
MAX_BODY = 4 * 1024 * 1024
# What the UI's page sends along.
HEADERS = ("Authorization", "Content-Type", "X-Namespace")


class NotTheUi(GenvideoError, code="not_the_ui", status=403, title="Only the Temporal UI may ask"):
    """A page of any other origin has no business here."""


class CodecMiddleware:
    """Before all other routes: what it answers is for another page than ours."""

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app = app
        self._codec = codec_app(settings.payload_keys, origin_of_ui(settings))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and scope["path"].startswith(f"{PATH}/")
        await (self._codec if ours else self._app)(scope, receive, send)


def origin_of_ui(settings: ApiSettings) -> str:
    """As a browser puts it into `Origin`: without a path, and without a default port."""
    url = settings.temporal_ui_url
    default = {"http": 80, "https": 443}.get(url.scheme)
    return f"{url.scheme}://{url.host}" + ("" if url.port in (None, default) else f":{url.port}")


def codec_app(keys: PayloadKeys, ui: str) -> FastAPI:
    """`POST /codec/decode` and `/encode`: `{"payloads": […]}` in the proto's JSON, both ways."""

    def from_the_ui(origin: Annotated[str | None, Header()] = None) -> None:
        if origin is not None and origin != ui:
            raise NotTheUi(f"{origin[:100]} is not {ui}.")

    app = FastAPI(openapi_url=None, max_body_size=MAX_BODY, dependencies=[Depends(from_the_ui)])
    problems.install(app)
    app.add_middleware(
        CORSMiddleware, allow_origins=[ui], allow_methods=["POST"], allow_headers=HEADERS
    )

    @app.post(f"{PATH}/decode")
    async def decode(request: Request) -> Response:
        return _answer(await keys.decode(await _payloads(request)))

    @app.post(f"{PATH}/encode")
    async def encode(request: Request) -> Response:
        return _answer(await keys.encode(await _payloads(request)))

    return app


async def _payloads(request: Request) -> Sequence[Payload]:
    try:
        return Parse(await request.body(), Payloads()).payloads
    except (ParseError, UnicodeDecodeError) as error:
        raise InvalidInput("body: not the JSON of Temporal's payloads.") from error


def _answer(payloads: Sequence[Payload]) -> Response:
    return Response(MessageToJson(Payloads(payloads=payloads)), media_type="application/json")
