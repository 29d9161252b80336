"""A profile of Temporal's own configuration file, read once and here: as settings, like any others.

No service reads that file; one that did would take a key or a namespace of it along to the server
that the stack brings.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from compose.stack.settings.checks import Checks

PROFILE, FILE = "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE"
DEFAULT = "default"
# By a profile's names: text, and what TLS asks for, each file as a path or as it is.
_TEXTS = {"address": "ADDRESS", "namespace": "NAMESPACE", "api_key": "API_KEY"}
_PEMS = {
    "client_cert": "CLIENT_CERT",
    "client_key": "CLIENT_KEY",
    "server_ca_cert": "SERVER_CA_CERT",
}
# What only a server elsewhere has a use for.
_ELSEWHERE = ("TEMPORAL_API_KEY", "TEMPORAL_TLS")


def settings_of_profile(
    checks: Checks, values: Mapping[str, str], environ: Mapping[str, str], root: Path
) -> dict[str, str]:
    """What the chosen profile says and nobody else does; empty where none was chosen.

    One that names no server is refused: the one that the stack brings is none of it.
    """
    chosen = next((name for name in (PROFILE, FILE) if name in values), None)
    if chosen is None:
        return {}
    try:
        found = dict(_settings(_profile(values, environ, root), root))
    except _Wrong as wrong:
        checks.refuse(chosen, str(wrong))
        return {}
    given = {_stem(name) for name in values}
    added = {name: value for name, value in found.items() if _stem(name) not in given}
    if "TEMPORAL_ADDRESS" not in {*values, *added}:
        checks.refuse(chosen, "has no address: name the server with TEMPORAL_ADDRESS")
    return added


def check_for_elsewhere(checks: Checks, values: Mapping[str, str]) -> None:
    """Note what is set for a server elsewhere where none is named."""
    if {"TEMPORAL_ADDRESS", PROFILE, FILE}.isdisjoint(values):
        for name, value in values.items():
            if name.startswith(_ELSEWHERE) and value.lower() not in ("false", "0"):
                checks.refuse(name, "is for a server elsewhere: name it with TEMPORAL_ADDRESS")


class _Wrong(Exception):
    """Why a profile can't be used; never a value of it."""


def _profile(
    values: Mapping[str, str], environ: Mapping[str, str], root: Path
) -> Mapping[str, Any]:
    path = root / values[FILE] if FILE in values else _usual_file(environ)
    name = values.get(PROFILE, DEFAULT)
    try:
        profiles = tomllib.loads(path.read_text(encoding="utf-8")).get("profile", {})
    except OSError as error:
        raise _Wrong(f"can't be read: {path}: {error.strerror}") from None
    except ValueError:
        raise _Wrong(f"can't be read: {path} is no TOML") from None
    found = profiles.get(name) if isinstance(profiles, dict) else None
    if not isinstance(found, dict):
        raise _Wrong(f"is not to be had: {path} has no profile {name}")
    return found


def _usual_file(environ: Mapping[str, str]) -> Path:
    """Where Temporal's own programs look for it."""
    folder = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "~", ".config")
    return Path(folder).expanduser() / "temporalio" / "temporal.toml"


def _settings(profile: Mapping[str, Any], root: Path) -> Iterator[tuple[str, str]]:
    """The settings that say the same."""
    for key, name in _TEXTS.items():
        if key in profile:
            yield f"TEMPORAL_{name}", _text(profile[key], key)
    if (tls := profile.get("tls")) is not None:
        yield from _tls(_table(tls, "tls"), root)
    for key, value in _table(profile.get("grpc_meta", {}), "grpc_meta").items():
        yield f"TEMPORAL_GRPC_META_{key.upper().replace('-', '_')}", _text(value, key)


def _tls(tls: Mapping[str, Any], root: Path) -> Iterator[tuple[str, str]]:
    yield "TEMPORAL_TLS", "false" if tls.get("disabled") is True else "true"
    if "server_name" in tls:
        yield "TEMPORAL_TLS_SERVER_NAME", _text(tls["server_name"], "server_name")
    if tls.get("disable_host_verification") is True:
        yield "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION", "true"
    for key, name in _PEMS.items():
        if (path := f"{key}_path") in tls:
            yield f"TEMPORAL_TLS_{name}_PATH", str(root / _text(tls[path], path))
        elif (data := f"{key}_data") in tls:
            yield f"TEMPORAL_TLS_{name}_DATA", _text(tls[data], data)


def _stem(name: str) -> str:
    """A certificate is given as a file or as it is, and either counts before the profile's."""
    return name.removesuffix("_PATH").removesuffix("_DATA")


def _text(value: object, key: str) -> str:
    if not isinstance(value, str) or not value:
        raise _Wrong(f"can't be used: its {key} is no text")
    return value


def _table(value: object, key: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong(f"can't be used: its {key} is no table")
    return value
