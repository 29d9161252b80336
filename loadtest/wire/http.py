"""JSON over HTTP; the one module that knows httpx, and every answer is bounded in time."""

from typing import Any, Self

import httpx
from pydantic import SecretStr

# Shorter than the services' own idle limit of 5 s, so that none closes under a request.
KEEPALIVE_SECONDS = 2.0


class Unreachable(Exception):
    """Nothing answered at an address, or not in time."""


class Answer:
    """Status and body of one exchange; `body` is None where it was not JSON."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.retry_after = _seconds(response.headers.get("retry-after"))
        self.body: Any = None
        if "json" in response.headers.get("content-type", ""):
            try:
                self.body = response.json()
            except ValueError:
                self.body = None
        self.text = response.text if self.body is None else ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def problem(self) -> str:
        """What a refusal says, in one line."""
        if isinstance(self.body, dict):
            words = [
                str(self.body.get(key)) for key in ("code", "detail", "title") if self.body.get(key)
            ]
            return f"{self.status} {': '.join(words[:2])}"
        return f"{self.status} {self.text[:200]}".strip()


class Http:
    """A client of one service."""

    def __init__(
        self,
        base_url: str,
        timeout: float = 10.0,
        *,
        connections: int = 32,
        token: SecretStr | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url
        self.token = token
        self._client = httpx.AsyncClient(
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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, path: str, params: dict[str, str] | None = None) -> Answer:
        return await self._send("GET", path, params=params)

    async def read(
        self, path: str, params: dict[str, str] | None = None, *, optional: bool = False
    ) -> Any:
        """Return the JSON at a path, or None if it is `optional` and not there; raise Unreachable
        for any other answer."""
        answer = await self.get(path, params)
        if optional and answer.status == 404:
            return None
        if not answer.ok or answer.body is None:
            raise Unreachable(f"{self.base_url}{path}: {answer.problem}")
        return answer.body

    async def post(
        self, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> Answer:
        return await self._send("POST", path, body=body, headers=headers)

    async def put(self, path: str, body: Any) -> Answer:
        return await self._send("PUT", path, body=body)

    async def delete(self, path: str, params: dict[str, str] | None = None) -> Answer:
        return await self._send("DELETE", path, params=params)

    async def download(self, path: str) -> bytes | None:
        """Return the bytes at a path, or None if there are none."""
        try:
            # A store elsewhere may serve it; it does not get our token.
            response = await self._client.get(path, follow_redirects=True)
        except httpx.TransportError as error:
            raise Unreachable(f"{self.base_url}{path}: {_reason(error)}") from error
        return response.content if response.is_success else None

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        try:
            response = await self._client.request(
                method, path, params=params, json=body, headers=headers
            )
        except httpx.TransportError as error:
            raise Unreachable(f"{self.base_url}{path}: {_reason(error)}") from error
        return Answer(response)


def bearer(token: SecretStr | None) -> dict[str, str]:
    """Return the header that shows a token."""
    if token is None:
        return {}
    return {"Authorization": f"Bearer {token.get_secret_value()}"}


def _reason(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__


def _seconds(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
