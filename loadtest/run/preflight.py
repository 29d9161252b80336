"""Is the stack there? Asked once before a run, of everything the run needs, all at once."""

import asyncio
from collections.abc import Awaitable, Callable

from loadtest.settings import Settings
from loadtest.wire.http import Http, Unreachable
from loadtest.wire.temporal import Temporal


class NotReachable(Exception):
    """What of the stack did not answer, a line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


async def preflight(settings: Settings) -> tuple[Temporal, str]:
    """The Temporal client and the server's version; raises NotReachable naming all that is not."""
    needed = [
        ("api", settings.api_url, "/readyz"),
        ("callback", settings.callback_url, "/healthz"),
    ]
    if settings.mocked:
        needed += [
            ("mock-comfyui", settings.image_service_url, "/admin/stats"),
            ("mock-kling", settings.video_service_url, "/admin/stats"),
        ]
    problems: list[str] = []
    temporal: list[tuple[Temporal, str]] = []

    async def server() -> None:
        client = await Temporal.connect(settings)
        temporal.append((client, await client.server_version()))

    await asyncio.gather(
        _noted("temporal", server, problems),
        *(
            _noted(name, lambda url=url, path=path: _answers(url, path), problems)  # type: ignore[misc]
            for name, url, path in needed
        ),
    )
    if problems:
        raise NotReachable(sorted(problems))
    return temporal[0]


async def _noted(name: str, ask: Callable[[], Awaitable[None]], problems: list[str]) -> None:
    try:
        await ask()
    except Unreachable as error:
        problems.append(f"{name}: {error}")


async def _answers(url: str, path: str) -> None:
    async with Http(url, timeout=5) as http:
        answer = await http.get(path)
        if not answer.ok:
            raise Unreachable(f"{url}{path}: {answer.problem}")
