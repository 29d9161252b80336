"""Settings that both mocks share; a bad one ends the start with one line and status 2."""

import re
import sys
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

BAD_SETTING_STATUS = 2


def _pattern(value: str) -> str:
    try:
        groups = re.compile(value).groupindex
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    if not {"job", "attempt"} <= set(groups):
        raise ValueError("needs the groups 'job' and 'attempt'")
    return value


class MockSettings(BaseSettings):
    """What either mock reads from the environment, by the names of the fields in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    listen_host: str = "127.0.0.1"
    mock_speed: Annotated[float, Field(gt=0, le=1_000_000)] = 100.0
    mock_seed: int = 0
    mock_job_pattern: Annotated[str, AfterValidator(_pattern)] = (
        r"(?P<job>.+)\.(?P<attempt>\d{1,4})"
    )
    mock_file_megabytes: Annotated[int, Field(ge=1, le=4096)] = 32
    mock_result_days: Annotated[float, Field(gt=0)] = 30.0
    mock_keep_rows: Annotated[int, Field(ge=100, le=1_000_000)] = 20_000
    # disk: ledger and files are in DATA_DIR/mocks and outlive the process.
    mock_ledger: Literal["memory", "disk"] = "memory"
    data_dir: Path = Path("data")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "json", "console"] = "auto"


Settings = TypeVar("Settings", bound=BaseSettings)


def load_settings(kind: type[Settings], program: str) -> Settings:
    """Read the environment; on a mistake write one line that names every one and exit 2."""
    try:
        return kind()
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']).upper()}: {item['msg']}"
            f" (got {item['input']!r})"
            for item in error.errors()
        )
        sys.stderr.write(f"{program}: bad settings: {faults}\n")
        raise SystemExit(BAD_SETTING_STATUS) from None
