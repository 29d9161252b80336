"""Where everything answers; the addresses are those of the settings that the stack runs with."""

from compose.stack.environment import public, vendors
from compose.stack.output import say, table
from compose.stack.services import API, CALLBACK, IMAGE, TEMPORAL, VIDEO
from compose.stack.settings import Settings


def rows(settings: Settings) -> list[tuple[str, str]]:
    """What there is, with its address."""
    seen = public(settings)
    api = settings.url(API.port)
    image, video = vendors(settings)
    port = settings.ports[TEMPORAL.port]
    server = settings.values.get("TEMPORAL_ADDRESS", f"{settings.reach}:{port}")
    return [
        ("dashboard", f"{seen['API_PUBLIC_URL'].rstrip('/')}/"),
        ("API reference", f"{api}/docs"),
        ("Temporal UI", seen["TEMPORAL_UI_URL"]),
        ("Temporal gRPC", server),
        ("callback receiver", settings.url(CALLBACK.port)),
        (IMAGE.about if image is None else "image service", image or settings.url(IMAGE.port)),
        (VIDEO.about if video is None else "video service", video or settings.url(VIDEO.port)),
    ]


def show(settings: Settings) -> None:
    """Print them all."""
    say(table(rows(settings)))
