"""JSON over HTTP; every answer is bounded in time."""

from typing import Any

import httpx
from pydantic import SecretStr

# Shorter than the services' own idle limit of 5 s, so that none closes under a request.
KEEPALIVE_SECONDS = 2.0


class Unreachable(Exception):
    """Nothing answered at an address, or not in time."""


class Http(httpx.AsyncClient):
    """A client of one service; every call raises Unreachable if there is no answer."""

    def __init__(
        self,
        base_url: str,
        timeout: float = 10.0,
        *,
        connections: int = 32,
        token: SecretStr | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(
            base_url=base_url,
            timeout=timeout,
            headers=bearer(token),
            trust_env=False,
            transport=transport,
            limits=httpx.Limits(
                max_connections=connections,
                max_keepalive_connections=connections,
                keepalive_expiry=KEEPALIVE_SECONDS,
            ),
        )
        self.token = token
        self._address = base_url

    async def request(self, method: str, url: httpx.URL | str, **how: Any) -> httpx.Response:
        try:
            return await super().request(method, url, **how)
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise Unreachable(f"{self._address}{url}: {reason}") from error

    async def read(
        self, path: str, params: dict[str, str] | None = None, *, optional: bool = False
    ) -> Any:
        """Return the JSON at a path, or None if it is `optional` and not there; raise Unreachable
        for any other answer."""
        answer = await self.get(path, params=params)
        if optional and answer.status_code == 404:
            return None
        body = json_of(answer)
        if not answer.is_success or body is None:
            raise Unreachable(f"{self._address}{path}: {problem(answer)}")
        return body


def bearer(token: SecretStr | None) -> dict[str, str]:
    if token is None:
        return {}
    return {"Authorization": f"Bearer {token.get_secret_value()}"}


def json_of(answer: httpx.Response) -> Any:
    """Return the body; None if it is not JSON."""
    try:
        return answer.json()
    except ValueError:
        return None


def problem(answer: httpx.Response) -> str:
    """Return what a refusal says, in one line."""
    if isinstance(body := json_of(answer), dict):
        words = [str(body[key]) for key in ("code", "detail", "title") if body.get(key)]
        return f"{answer.status_code} {': '.join(words[:2])}"
    return f"{answer.status_code} {answer.text[:200]}".strip()
