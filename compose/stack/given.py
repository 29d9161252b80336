"""Where settings come from beside the environment: `.env`, a profile of Temporal's own file, and
what was saved at the last `make up`."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream
from pydantic import BaseModel

from compose.stack.files import write_private

PROFILE, FILE = "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE"
# In the run folder.
SAVED = "stack.json"


def dotenv(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Names with their values; and what is wrong, with the line that it is about."""
    if not os.path.lexists(path):
        return {}, {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return {}, {f"{path.name} is no text in UTF-8": ""}
    except OSError as error:
        return {}, {f"{path.name} can't be read: {error.strerror}": ""}
    values: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for each in parse_stream(StringIO(text)):
        if each.key is None and not each.error:
            continue
        if each.error or each.value is None or "\0" in each.value or not _is_name(each.key):
            wrong[f".env line {each.original.line} is not NAME=value"] = each.original.string
        else:
            values[str(each.key)] = each.value
    return values, wrong


def _is_name(key: str | None) -> bool:
    return key is not None and key.isidentifier() and key.isascii()


def of_profile(values: Mapping[str, str], environ: Mapping[str, str], root: Path) -> dict[str, str]:
    """What a profile of Temporal's own file says and nobody else does; ValueError if it can't be.

    No service reads that file: it would take a key or a namespace of it along to our own server.
    """
    home = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "~", ".config")
    usual = Path(home).expanduser() / "temporalio" / "temporal.toml"
    path = root / values[FILE] if FILE in values else usual
    name = values.get(PROFILE, "default")
    try:
        profiles = tomllib.loads(path.read_text(encoding="utf-8")).get("profile")
    except OSError as error:
        raise ValueError(f"can't be read: {path}: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"can't be read: {path} is no TOML") from None
    if not isinstance(profiles, dict) or not isinstance(profiles.get(name), dict):
        raise ValueError(f"is not to be had: {path} has no profile {name}")
    given = {_stem(each) for each in values}
    found = dict(_flat(profiles[name], root))
    if "TEMPORAL_ADDRESS" not in {*values, *found}:
        raise ValueError("has no address: name the server with TEMPORAL_ADDRESS")
    return {each: value for each, value in found.items() if _stem(each) not in given}


def _flat(profile: Mapping[str, Any], root: Path) -> Iterator[tuple[str, str]]:
    """A profile as the settings that say the same."""
    for key in ("address", "namespace", "api_key"):
        if key in profile:
            yield f"TEMPORAL_{key.upper()}", _text(profile[key], key)
    for key, value in _table(profile.get("grpc_meta", {}), "grpc_meta").items():
        yield f"TEMPORAL_GRPC_META_{key.upper().replace('-', '_')}", _text(value, key)
    if "tls" not in profile:
        return
    tls = _table(profile["tls"], "tls")
    yield "TEMPORAL_TLS", "false" if tls.get("disabled") is True else "true"
    for key, value in tls.items():
        if isinstance(value, bool):
            if key == "disable_host_verification" and value:
                yield f"TEMPORAL_TLS_{key.upper()}", "true"
        else:
            text = _text(value, key)
            yield f"TEMPORAL_TLS_{key.upper()}", str(root / text) if "_path" in key else text


def _stem(name: str) -> str:
    """A certificate is given as a file or as it is, and either counts before the profile's."""
    return name.removesuffix("_PATH").removesuffix("_DATA")


def _text(value: object, key: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"can't be used: its {key} is no text")
    return value


def _table(value: object, key: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"can't be used: its {key} is no table")
    return value


class Saved(BaseModel):
    """What outlives a command: the mode the stack was started in (empty where none runs), what
    overrides `.env` until `make down`, and whether its vendors are the mocks, which may run on
    another machine. It may hold keys."""

    mode: str = ""
    overrides: dict[str, str] = {}
    mocks: bool = False

    @classmethod
    def read(cls, run_dir: Path) -> "Saved":
        """What was written last; nothing where nothing was, or where it can't be read."""
        try:
            return cls.model_validate_json((run_dir / SAVED).read_bytes())
        except (OSError, ValueError):
            return cls()

    def write(self, run_dir: Path) -> None:
        """Replace what is saved."""
        write_private(run_dir / SAVED, self.model_dump_json())
