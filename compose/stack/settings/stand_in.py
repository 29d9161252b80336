"""What the worker is told of Kling while a mock stands in for it: the mock's key, and no other.

A user's own are for Kling alone. It is the key that is sent as it is: at MOCK_SPEED a token's half
an hour may last less than the second that it is dated by. A relay's dialect is for a real one.
"""

from compose.stack.settings.load import Settings

KEYS = {
    "KLING_API_KEY": "api-key-kling-mock",
    "KLING_ACCESS_KEY": "",
    "KLING_SECRET_KEY": "",
    "KLING_DIALECT": "official",
}


def stand_in(settings: Settings) -> dict[str, str]:
    """Nothing without mocks, or where they are spoken to by the small contract."""
    mocked = settings.mocks and settings.values.get("VIDEO_API") == "kling"
    return KEYS if mocked else {}
