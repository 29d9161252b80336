"""What the worker is told of a video vendor while a mock stands in for it: the mock's key, and no
other, and the path where the mock speaks that wire.

A user's own are for the vendor alone. Of Kling's it is the key that is sent as it is: at MOCK_SPEED
a token's half an hour may last less than the second that it is dated by. A relay's dialect is for a
real one.
"""

from collections.abc import Mapping

from compose.stack.settings.load import Settings

KLING = {
    "KLING_API_KEY": "api-key-kling-mock",
    "KLING_ACCESS_KEY": "",
    "KLING_SECRET_KEY": "",
    "KLING_DIALECT": "official",
}
FAL = {"FAL_KEY": "mock-fal-key"}
PATH = "MOCK_VIDEO_PATH"
_TOLD: Mapping[str, dict[str, str]] = {"kling": KLING, "fal": FAL | {PATH: "/fal"}}


def stand_in(settings: Settings) -> dict[str, str]:
    """Nothing without mocks, or where they are spoken to by the small contract."""
    return _TOLD.get(settings.values.get("VIDEO_API", ""), {}) if settings.mocks else {}
