"""Where settings come from beside the environment: `.env`, and what was saved at `make up`."""

import os
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream
from pydantic import BaseModel

from compose.stack.files import write_private

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
