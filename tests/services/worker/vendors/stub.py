"""A vendor behind httpx.MockTransport that gives set answers; the usual video, and its settings."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from services.worker.results.checker import Bounds
from services.worker.settings.worker import WorkerSettings
from shared.errors import GenvideoError
from shared.pipeline.vendor import SourceFile, Vendor

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


@dataclass
class StubVendor:
    """`answers` by `"METHOD path"`; each is used once, the last one for good."""

    answers: dict[str, list[Answer]]
    asked: list[str] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)

    def client(self) -> httpx.AsyncClient:
        """Return a client, which has no connection and need not be closed."""
        return httpx.AsyncClient(transport=self.transport(), base_url="http://vendor")

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def body(self, number: int = -1) -> Any:
        return json.loads(self.requests[number].content)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        name = f"{request.method} {request.url.path}"
        self.asked.append(name)
        self.requests.append(request)
        left = self.answers[name]
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return _unread(answer(request) if callable(answer) else answer)


def _unread(answer: httpx.Response) -> httpx.Response:
    """The same as it comes from a wire: an answer that was made of bytes counts as read."""
    if not isinstance(answer.stream, httpx.ByteStream):
        return answer
    stream = httpx.ByteStream(answer.content)
    return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)


def reply(status: int = 200, /, **body: Any) -> Answer:
    """Make a new JSON answer each time."""
    return lambda _: httpx.Response(status, content=json.dumps(body))


# As half of a pair of UTF-16 comes: text that can be neither kept nor sent.
CUT = "\ud83d"

FITTED = b"our picture"
UNKNOWN = reply(404, code="not_found")


def picture_at(address: str, *, fitted: bytes | GenvideoError = FITTED) -> SourceFile:
    """An image that its vendor has at an address, and our file within any bounds, or not."""

    async def asked(kinds: Mapping[str, bytes]) -> str:
        assert list(kinds) == ["PNG", "JPEG"]
        return address

    async def within(bounds: Bounds) -> bytes:
        if isinstance(fitted, GenvideoError):
            raise fitted
        return fitted

    return SourceFile(within, asked)


OURS = "job-0123456789abcdef01234567.video.1"


def usual_settings(**of_vendor: Any) -> WorkerSettings:
    return WorkerSettings.model_validate(
        {
            "callback_secret": "0123456789abcdef0123456789abcdef",
            "callback_url": "https://us.example",
            **of_vendor,
        }
    )


async def submit_usual(
    videos: Vendor, picture: SourceFile | None = None, *, callback_url: str
) -> str:
    return await videos.submit(
        OURS,
        7,
        prompt="猫",
        source=picture or picture_at("https://images.example/1.png"),
        callback_url=callback_url,
    )
