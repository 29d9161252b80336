"""Settings of the video service, and what can be changed while it runs."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field
from pydantic_settings import NoDecode

from services.mock_core.clock import Delay, DelaySpec
from services.mock_core.settings import Called, MockSettings, Port, RuntimeConfig

if TYPE_CHECKING:
    from services.mock_core.mock import Mock


class KlingSettings(MockSettings):
    kling_port: Port = 16882
    mock_video_seconds: Annotated[Delay, NoDecode] = DelaySpec(70)
    # Beside this machine: allowed hosts of callbacks and of pictures.
    mock_callback_hosts: Called = ""
    mock_picture_hosts: Called = ""


# These guard nothing; a caller has to sign with something.
DEFAULT_SECRET_KEY = "mock-secret-key-of-thirty-two-characters"  # noqa: S105
DEFAULT_API_KEY, DEFAULT_ACCESS_KEY = "api-key-kling-mock", "mock-access-key"

Key = Annotated[str, Field(min_length=1, max_length=255)]


class KlingConfig(RuntimeConfig):
    """The configuration of the service.

    `duplicates`: what is done with a second submit of one external_task_id, which the vendor does
    not document. `clock_skew`: seconds by which the clock that checks tokens and dates replies is
    ahead. The keys are those of the vendor's own wire: an API key, and two keys of a JWT.
    """

    duplicates: Literal["reject", "accept"] = "reject"
    clock_skew: Annotated[float, Field(ge=-1e9, le=1e9)] = 0.0
    api_key: Key = DEFAULT_API_KEY
    access_key: Key = DEFAULT_ACCESS_KEY
    secret_key: Annotated[str, Field(min_length=32, max_length=255)] = DEFAULT_SECRET_KEY


def config_of(mock: "Mock") -> KlingConfig:
    assert isinstance(mock.config, KlingConfig)  # noqa: S101 - set by the factory
    return mock.config
