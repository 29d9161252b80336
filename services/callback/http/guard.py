"""Who may see what the vendor's port shows beside the callback itself."""

import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from services.callback.errors import NotAuthorized
from services.callback.settings import CallbackSettings
from shared.http.problems import from_error
from shared.jobs.tokens import operator_key

# For the vendor, whose token is in the address, and for whoever watches over the process.
FOR_EVERYBODY = frozenset({"/callback/kling", "/healthz", "/readyz"})


class Operator:
    """Knows the operator by the key, which is derived from CALLBACK_SECRET."""

    def __init__(self, settings: CallbackSettings) -> None:
        self._expected = f"Bearer {operator_key(settings.callback_secret.get_secret_value())}"

    def check(self, authorization: str) -> None:
        """NotAuthorized unless a request's Authorization carries the key."""
        given = authorization.encode("utf-8", "replace")
        if not hmac.compare_digest(self._expected.encode(), given):
            raise NotAuthorized("Send Authorization: Bearer and the operator's key.")


class Guard:
    """Before any route of a guarded receiver: whatever is not for everybody is the operator's."""

    def __init__(self, app: ASGIApp, operator: Operator) -> None:
        self._app = app
        self._operator = operator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in FOR_EVERYBODY:
            try:
                self._operator.check(Headers(scope=scope).get("authorization", ""))
            except NotAuthorized as error:
                await from_error(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)
