"""Settings from the environment; one line names all wrong ones, and stops the start."""

import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.http.hosts import listed
from shared.http.mistakes import read_by
from shared.jobs.tokens import secrets_of
from shared.settings.payloads import PayloadSettings

USAGE = 2

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=7 * 86400)]


# `MOCKS`, and the stages whose vendors are mocks.
MOCKED = {"on": ("image", "video"), "off": (), "image": ("image",), "video": ("video",)}
Mocks = Literal["on", "off", "image", "video"]


def _strong(setting: SecretStr) -> SecretStr:
    if any(map(str.isspace, setting.get_secret_value())):
        raise ValueError("no blanks")
    if any(len(each) < 32 for each in secrets_of(setting.get_secret_value())):
        raise ValueError("each secret needs 32 characters or more (openssl rand -hex 32)")
    return setting


# The source of callback tokens and the operator's key; with commas: new,old.
CallbackSecret = Annotated[SecretStr, AfterValidator(_strong)]


class CommonSettings(PayloadSettings):
    """Settings of every service; subclasses add their own."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    listen_host: str = "127.0.0.1"
    # Names that the service answers to, beside loopback's.
    allowed_hosts: Annotated[str, read_by(listed)] = ""
    data_dir: Path = Path("data")
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"
    log_format: Annotated[str, Field(pattern="^(json|console|auto)$")] = "auto"

    @property
    def hosts(self) -> frozenset[str]:
        """The names beside loopback's; subclasses add their public one."""
        return listed(self.allowed_hosts)

    def refusal(self, *, away: bool) -> str | None:
        """Return why the target of the settings must not be used; with `away` also why it can't be
        used now."""
        return None


class PollingSettings(CommonSettings):
    """Settings of a process that polls Temporal."""

    # It ends if its event loop stands still for this long.
    stall_seconds: Seconds = 10


S = TypeVar("S", bound=BaseSettings)


def load(kind: type[S]) -> S:
    """Load the settings of one service, or exit with status 2 and every mistake on stderr."""
    try:
        return kind()
    except ValidationError as error:
        _refuse("; ".join(": ".join(filter(None, each)) for each in mistakes_of(error)))


def load_to_start(kind: type[S]) -> S:
    """Load the settings of a starting service, and exit if their target must not be used."""
    found = load(kind)
    if isinstance(found, CommonSettings) and (reason := found.refusal(away=False)):
        _refuse(reason)
    return found


def mistakes_of(error: ValidationError) -> list[tuple[str, str]]:
    """Return each setting's name and mistake; the name is empty for a check of several settings."""
    return [
        # The prefix that pydantic adds to a validator's message.
        (".".join(map(str, item["loc"])).upper(), item["msg"].removeprefix("Value error, "))
        for item in error.errors(include_input=False, include_url=False)
    ]


def _refuse(reason: str) -> NoReturn:
    sys.stderr.write(f"wrong settings: {reason}\n")
    raise SystemExit(USAGE)
