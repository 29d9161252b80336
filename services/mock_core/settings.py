"""Settings and logs of both mocks; a bad setting ends the start with one line and status 2."""

import json
import logging
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.mock_core.clock import Delay, rfc3339
from services.mock_core.delivery import CallbackPolicy
from shared.http.hosts import listed

BAD_SETTING_STATUS = 2


def _are_hosts(text: str) -> str:
    listed(text)
    return text


_CALLED = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")


def called(text: str) -> frozenset[str]:
    """Return the hosts of a setting, which a mock may call, in lower case."""
    return frozenset(item.lower() for item in map(str.strip, text.split(",")) if item)


def _may_be_called(text: str) -> str:
    wrong = sorted(item for item in called(text) if not _CALLED.fullmatch(item))
    if wrong:
        raise ValueError(f"not host:port: {', '.join(wrong)}")
    return text


Called = Annotated[str, AfterValidator(_may_be_called)]


class MockSettings(BaseSettings):
    """Settings of both mocks, by the field names in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    listen_host: str = "127.0.0.1"
    # Names that the mock answers to, beside loopback's.
    allowed_hosts: Annotated[str, AfterValidator(_are_hosts)] = ""
    mock_speed: Annotated[float, Field(ge=0.01, le=1_000_000)] = 100.0
    mock_seed: int = 0
    # The services that a rule may name: those whose mocks get the same plans.
    mock_services: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*(,[a-z][a-z0-9-]*)*$")] = (
        "image,video"
    )
    mock_file_megabytes: Annotated[int, Field(ge=1, le=4096)] = 32
    mock_result_days: Annotated[float, Field(gt=0)] = 30.0
    mock_keep_rows: Annotated[int, Field(ge=100, le=1_000_000)] = 20_000
    # disk: ledger and files are in DATA_DIR/mocks and outlive the process.
    mock_ledger: Literal["memory", "disk"] = "memory"
    data_dir: Path = Path("data")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "json", "console"] = "auto"

    @property
    def hosts(self) -> frozenset[str]:
        """The names that the mock answers to, beside loopback's."""
        return listed(self.allowed_hosts)


Speed = Annotated[float, Field(gt=0, le=1_000_000)]


class RuntimeConfig(BaseModel):
    """`speed` is the clock factor, `seconds` the nominal length of one generation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    speed: Speed
    seconds: Delay
    result_days: Annotated[float, Field(gt=0)]

    def changed(self, changes: Mapping[str, Any]) -> "RuntimeConfig":
        """Return a copy with these members changed; raise a validation error that names each
        mistake."""
        # Imported here, because `make up` reads the settings of all services and must be quick.
        from fastapi.exceptions import RequestValidationError

        wanted = self.model_dump()
        for name, change in changes.items():
            # Members of a part are merged; the part's others stay.
            is_part = isinstance(wanted.get(name), dict) and isinstance(change, dict)
            wanted[name] = {**wanted[name], **change} if is_part else change
        try:
            return type(self).model_validate(wanted)
        except ValidationError as error:
            raise RequestValidationError(
                [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
            ) from error


class CallingConfig(RuntimeConfig):
    """The configuration of a service that sends callbacks."""

    callbacks: CallbackPolicy = CallbackPolicy()


Settings = TypeVar("Settings", bound=BaseSettings)


def load(kind: type[Settings]) -> Settings:
    """Load the settings of one mock, or exit with status 2 and every mistake on stderr."""
    try:
        return kind()
    except ValidationError as error:
        mistakes = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']).upper()}: {item['msg']}"
            for item in error.errors()
        )
        # The prefix that pydantic adds to a validator's message.
        mistakes = mistakes.replace(": Value error, ", ": ")
        sys.stderr.write(f"wrong settings: {mistakes}\n")
        raise SystemExit(BAD_SETTING_STATUS) from None


class JsonLines(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": rfc3339(record.created),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "event": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # In ASCII, because foreign text must not control the terminal.
        return json.dumps(line)


class Plain(logging.Formatter):
    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)sZ %(levelname)-7s %(name)s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = "".join(
            each if each.isprintable() else ascii(each)[1:-1] for each in record.message
        )
        return super().formatMessage(record)


def configure_logs(settings: MockSettings, *, service: str) -> None:
    as_json = settings.log_format == "json" or (
        settings.log_format == "auto" and not sys.stderr.isatty()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(service) if as_json else Plain())
    logging.basicConfig(handlers=[handler], level=settings.log_level, force=True)
    for noisy in ("httpx", "httpcore", "PIL", "libav"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
