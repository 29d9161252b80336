"""Settings and logs of both mocks; a bad setting ends the start with one line and status 2."""

import json
import logging
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.mock_core.clock import Delay, rfc3339
from shared.http.hosts import listed
from shared.http.mistakes import read_by

BAD_SETTING_STATUS = 2
_CALLED = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")


def called(text: str) -> frozenset[str]:
    """Return the hosts of a setting, which a mock may call, in lower case; raise ValueError that
    names the wrong ones."""
    hosts = frozenset(item.strip().lower() for item in text.split(",") if item.strip())
    wrong = sorted(host for host in hosts if not _CALLED.fullmatch(host))
    if wrong:
        raise ValueError(f"not host:port: {', '.join(wrong)}")
    return hosts


Called = Annotated[str, read_by(called)]
Port = Annotated[int, Field(ge=1, le=65535)]


class MockSettings(BaseSettings):
    """Settings of both mocks, by the field names in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    listen_host: str = "127.0.0.1"
    # Names that the mock answers to, beside loopback's.
    allowed_hosts: Annotated[str, read_by(listed)] = ""
    mock_speed: Annotated[float, Field(ge=0.01, le=1_000_000)] = 100.0
    mock_seed: int = 0
    # The services that a rule may name: those whose mocks get the same plans.
    mock_services: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*(,[a-z][a-z0-9-]*)*$")] = (
        "image,video"
    )
    mock_keep_rows: Annotated[int, Field(ge=100, le=1_000_000)] = 20_000
    # disk: ledger and files are in DATA_DIR/mocks and outlive the process.
    mock_ledger: Literal["memory", "disk"] = "memory"
    data_dir: Path = Path("data")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "json", "console"] = "auto"


class Part(BaseModel):
    """A part of what can be changed while a mock runs, or of a fault rule."""

    # Strict: `true` for a number is a mistake, not 1.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class RuntimeConfig(Part):
    """`speed` is the clock factor, `seconds` the nominal length of one generation."""

    speed: Annotated[float, Field(gt=0, le=1_000_000)]
    seconds: Delay

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


class Lines(logging.Formatter):
    """A record as a line of JSON, or of text; foreign text must not control the terminal."""

    def __init__(self, service: str, *, as_json: bool) -> None:
        super().__init__()
        self._service = service
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": rfc3339(record.created),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "event": record.getMessage(),
        }
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self._as_json:
            return json.dumps(line | ({"exception": trace} if trace else {}))
        text = f"{line['timestamp']} {record.levelname:7} {record.name} {line['event']}"
        shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
        return f"{shown}\n{trace}" if trace else shown


def configure_logs(settings: MockSettings, *, service: str) -> None:
    form = settings.log_format
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(service, as_json=as_json))
    logging.basicConfig(handlers=[handler], level=settings.log_level, force=True)
    for noisy in ("httpx", "httpcore", "PIL", "libav"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
