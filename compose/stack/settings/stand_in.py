"""The keys of the video mock, which replace the user's own while it stands in for Kling.

A user's keys are for the vendor only. The mock gets the key that is sent as it is: at MOCK_SPEED
a token's half hour may last less than the second in which it is dated.
"""

from compose.stack.settings.load import Settings

KLING = {
    "KLING_API_KEY": "api-key-kling-mock",
    "KLING_ACCESS_KEY": "",
    "KLING_SECRET_KEY": "",
}


def stand_in(settings: Settings) -> dict[str, str]:
    """Nothing without mocks, or where the worker speaks another wire than Kling's."""
    return KLING if settings.mocks and settings.values.get("VIDEO_API") == "kling" else {}
