"""Settings of the video service, and what can be changed while it runs."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import NoDecode

from services.mock_core.callbacks.delivery import CallbackPolicy
from services.mock_core.clock import Delay, DelaySpec
from services.mock_core.settings import Called, MockSettings, RuntimeConfig

Duplicates = Literal["reject", "first", "accept"]
Places = Annotated[int, Field(ge=0, le=100_000)]


class KlingSettings(MockSettings):
    kling_port: Annotated[int, Field(ge=1, le=65535)] = 16882
    mock_video_seconds: Annotated[Delay, NoDecode] = DelaySpec("fixed", 70)
    # What a second submit of one external_task_id gets; the vendor documents it nowhere.
    kling_duplicates: Duplicates = "reject"
    # Tasks that may be open at once before 1303 is answered; 0: any number.
    kling_places: Places = 0
    # Beside this machine's own: where callbacks may go, and where pictures may come from.
    mock_callback_hosts: Called = ""
    mock_picture_hosts: Called = ""


# A stand-in guards nothing; a caller has to sign with something.
DEFAULT_SECRET_KEY = "mock-secret-key-of-thirty-two-characters"  # noqa: S105
DEFAULT_API_KEY = "api-key-kling-mock"

Key = Annotated[str, Field(min_length=1, max_length=255)]
# How this address answers: as the API, as that of a region that doesn't know the keys, as a web
# site, or as a host that lets nobody through.
Address = Literal["right", "other-region", "page", "blocked"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LookUp(_Part):
    """How a task is found by the caller's own id, on the vendor's own wire.

    `lag`: nominal seconds from its acceptance until it is.
    """

    by_external_id: bool = True
    lag: Annotated[float, Field(ge=0, le=1e9)] = 0.0


class Rate(_Part):
    """At most so many tasks in so many nominal seconds, else `code`; 0: any number."""

    tasks: Annotated[int, Field(ge=0, le=100_000)] = 0
    seconds: Annotated[float, Field(gt=0, le=1e9)] = 1.0
    code: Literal[1302, 1303] = 1303


class Pack(_Part):
    """What has been paid for: units, or no pack at all, and for how many days from the start on."""

    units: Annotated[float, Field(ge=0, le=1e12)] | None = 1_000_000.0
    days: Annotated[float, Field(ge=-36_500, le=36_500)] = 365.0


class KlingConfig(RuntimeConfig):
    """`clock_skew`: by how many seconds the clock that judges tokens, and dates replies, is ahead.

    The keys are those of the vendor's own wire: one that is sent as it is, and two for a JWT.
    `public_callbacks`: an address that only this machine or its network has is refused there.
    """

    duplicates: Duplicates
    places: Places
    rate: Rate = Rate()
    pack: Pack = Pack()
    look_up: LookUp = LookUp()
    public_callbacks: bool = False
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
