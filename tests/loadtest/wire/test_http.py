"""The client of one service: what goes along with each request."""

import httpx
from pydantic import SecretStr

from loadtest.wire.api import Api
from loadtest.wire.http import Http


async def test_the_token_goes_along_with_each_request() -> None:
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        return httpx.Response(202, json={"job_id": "job-1"})

    for token in (SecretStr("a-token-of-the-tests"), None):
        transport = httpx.MockTransport(answer)
        async with Http("http://api", token=token, transport=transport) as http:
            assert (await Api(http).submit({}, "key")).job_id == "job-1"

    assert seen == ["Bearer a-token-of-the-tests", None]
