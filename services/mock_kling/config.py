"""What can be changed while the video service runs."""

from typing import Annotated, Literal

from pydantic import Field

from services.mock_core.callbacks.policy import CallbackPolicy
from services.mock_core.config import RuntimeConfig
from services.mock_kling.settings import Duplicates, KlingSettings, Places

# A stand-in guards nothing; a caller has to sign with something.
DEFAULT_SECRET_KEY = "mock-secret-key-of-thirty-two-characters"  # noqa: S105
DEFAULT_API_KEY = "api-key-kling-mock"

Key = Annotated[str, Field(min_length=1, max_length=255)]
# How this address answers: as the API, as that of a region that doesn't know the keys, as a web
# site, or as a host that lets nobody through.
Address = Literal["right", "other-region", "page", "blocked"]


class KlingConfig(RuntimeConfig):
    """`clock_skew`: by how many seconds the clock that judges tokens, and dates replies, is ahead.

    The keys are those of the vendor's own wire: one that is sent as it is, and two for a JWT.
    """

    duplicates: Duplicates
    places: Places
    clock_skew: Annotated[float, Field(ge=-1e9, le=1e9)] = 0.0
    address: Address = "right"
    api_key: Key = DEFAULT_API_KEY
    access_key: Key = "mock-access-key"
    secret_key: Annotated[str, Field(min_length=32, max_length=255)] = DEFAULT_SECRET_KEY
    callbacks: CallbackPolicy = CallbackPolicy()

    def callback_policy(self) -> CallbackPolicy:
        return self.callbacks


def initial_config(settings: KlingSettings) -> KlingConfig:
    return KlingConfig(
        speed=settings.mock_speed,
        seconds=settings.mock_video_seconds,
        result_days=settings.mock_result_days,
        duplicates=settings.kling_duplicates,
        places=settings.kling_places,
    )
