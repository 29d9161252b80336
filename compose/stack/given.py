"""Values from `.env` and the last `make up`, and one line for all mistakes in values."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import TypeVar

from dotenv.parser import parse_stream
from pydantic import BaseModel, ValidationError

from compose.stack.files import write_private
from compose.stack.output import StackError, shown
from shared.texts import localized

# In the run folder.
SAVED = "stack.json"
# Never printed, not even when wrong.
SECRET = re.compile(
    r"\w+_(KEY|SECRET|TOKEN|HEADERS|DATA|OPTIONS)|VENDOR_PROXY|TEMPORAL_GRPC_META_\w+"
)


def dotenv(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return names with their values, and the mistakes with their lines."""
    if not os.path.lexists(path):
        return {}, {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return {}, {f"{path.name} is not UTF-8 text": ""}
    except OSError as error:
        return {}, {f"{path.name} can't be read: {error.strerror}": ""}
    values: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for each in parse_stream(StringIO(text)):
        if each.key is None and not each.error:
            continue
        name = each.key or ""
        is_name = name.isidentifier() and name.isascii()
        if each.error or each.value is None or "\0" in each.value or not is_name:
            wrong[f".env line {each.original.line} is not NAME=value"] = each.original.string
        else:
            values[name] = each.value
    return values, wrong


class Saved(BaseModel):
    """State between commands: the mode of the running stack (empty if none runs), its ports, and
    the overrides of `.env` until `make down`. It may hold keys."""

    mode: str = ""
    ports: dict[str, int] = {}
    overrides: dict[str, str] = {}

    @classmethod
    def read(cls, run_dir: Path) -> "Saved":
        """Return the saved state; empty if there is none, or it is damaged.

        Raises OSError if it can't be read: for another user a running stack would not run.
        """
        try:
            return cls.model_validate_json((run_dir / SAVED).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return cls()

    def write(self, run_dir: Path) -> None:
        write_private(run_dir / SAVED, self.model_dump_json())


M = TypeVar("M", bound=BaseModel)


def options(kind: type[M], environ: Mapping[str, str], **context: object) -> M:
    """Return a command's options from make's variables; raise StackError with all that is wrong."""
    given = {name: environ[name.upper()] for name in kind.model_fields if environ.get(name.upper())}
    values = {name.upper(): value for name, value in given.items()}
    try:
        return kind.model_validate(given, context=context)
    except ValidationError as error:
        wrong = mistakes_of(error, kind, values, dict.fromkeys(values, "environment"))
        raise wrong_settings([wrong[name] for name in sorted(wrong)]) from None


def mistakes_of(
    error: ValidationError,
    kind: type[BaseModel],
    values: Mapping[str, str],
    origins: Mapping[str, str],
) -> dict[str, str]:
    """Return what is wrong by setting; a field's description says it in plain words."""
    found: dict[str, str] = {}
    for each in error.errors(include_url=False):
        field = str(each["loc"][0])
        reason = kind.model_fields[field].description
        if each["type"] in ("enum", "literal_error"):
            choices = each["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
            reason = f"is not one of: {choices}"
        elif each["type"] == "value_error":
            reason = str(each["ctx"]["error"])
        found[field.upper()] = refused(field.upper(), reason or each["msg"], values, origins)
    return found


def refused(name: str, reason: str, values: Mapping[str, str], origins: Mapping[str, str]) -> str:
    value = "…" if name in values and SECRET.fullmatch(name) else shown(values.get(name, ""))
    return f"{name}={value} ({origins.get(name, 'default')}) {reason}"


def raise_wrong(mistakes: Sequence[str]) -> None:
    """Raise StackError, in one line, if there is a mistake."""
    if mistakes:
        raise wrong_settings(mistakes)


def wrong_settings(mistakes: Iterable[str]) -> StackError:
    """Return the one line; each mistake is translated separately."""
    return StackError("wrong settings: " + "; ".join(map(localized, dict.fromkeys(mistakes))))
