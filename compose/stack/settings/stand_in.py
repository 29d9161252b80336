"""What the worker is told of Kling while a mock stands in for it: the mock's keys, and no others.

A user's own are for Kling alone, and a relay's dialect is one that the mock doesn't speak.
"""

from compose.stack.settings.load import Settings

KEYS = {
    "KLING_API_KEY": "",
    "KLING_ACCESS_KEY": "mock-access-key",
    "KLING_SECRET_KEY": "mock-secret-key-of-thirty-two-characters",
    "KLING_DIALECT": "official",
}


def stand_in(settings: Settings) -> dict[str, str]:
    """Nothing without mocks, or where they are spoken to by the small contract."""
    mocked = settings.mocks and settings.values.get("VIDEO_API") == "kling"
    return KEYS if mocked else {}
