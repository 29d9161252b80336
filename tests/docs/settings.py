"""`python -m tests.docs.settings` writes docs/settings.md from `.env.example` and the code."""

import argparse
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from compose.stack.environment import PATIENCE
from compose.stack.services import ALL, CLIENT, LOADTEST
from tests.docs.pages import ROOT, read

EXAMPLE = ROOT / ".env.example"
PAGE = ROOT / "docs" / "settings.md"
COMMAND = ".venv/bin/python -m tests.docs.settings"
NONE = "–"
ABOVE = """# Settings

Copy `.env.example` to `.env` and change what you need. See also
[which setting wins](operating.md#which-setting-wins).

The last column names the services that read a setting; no other service gets it. A dash: only
`make` reads it. *Clients* are all services that call Temporal.

`{command}` writes this page from `.env.example` and the code.
"""
BELOW = """
The stack itself sets {names}.
"""
_SECTION = re.compile(r"^# --- (.+?) -+\n((?:# .+\n)+#\n)?", re.MULTILINE)
_SETTING = re.compile(r"((?:^# .+\n)+)^#([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)
_PAGE = re.compile(r"docs/([\w-]+\.md)")
_CHOICES = re.compile(r"\^\(([\w|]+)\)\$")


@dataclass(frozen=True)
class Setting:
    """One setting as `.env.example` has it; its meaning is in Markdown."""

    name: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Section:
    """A part of that file."""

    title: str
    about: str
    settings: tuple[Setting, ...]


def sections() -> list[Section]:
    """All of them, in the file's order."""
    _, *parts = re.split(r"(?m)^(?=# --- )", read(EXAMPLE))
    return [_section(part) for part in parts]


def _section(part: str) -> Section:
    head = _SECTION.match(part)
    if head is None:
        raise ValueError(f"no section: {part[:60]!r}")
    settings = (
        Setting(name, default, _joined(comment))
        for comment, name, default in _SETTING.findall(part[head.end() :])
    )
    return Section(head[1], _joined(head[2] or ""), tuple(settings))


def _joined(comment: str) -> str:
    return " ".join(line.removeprefix("#").strip() for line in comment.splitlines()).strip()


def documented() -> dict[str, Setting]:
    """Every setting, by its name."""
    return {each.name: each for section in sections() for each in section.settings}


def classes() -> list[type[BaseSettings]]:
    """The settings of all services and of the load test."""
    return [each.settings() for each in (*ALL, LOADTEST) if each.model]


def fields() -> list[tuple[str, FieldInfo]]:
    """Every field of every class, by the name of its setting; some are in several classes."""
    return [
        (field.upper(), info) for kind in classes() for field, info in kind.model_fields.items()
    ]


def type_of(info: FieldInfo) -> TypeAdapter[Any]:
    """What validates a field's value."""
    kind: Any = info.annotation
    for item in info.metadata:
        kind = Annotated[kind, item]
    return TypeAdapter(kind)


def set_by_the_stack() -> list[str]:
    """What services read and no user sets."""
    return sorted({name for name, _ in fields()} - documented().keys())


def _values(name: str, kinds: dict[str, list[dict[str, Any]]]) -> str:
    """Which values the code allows, as far as a schema can tell; the narrowest class counts."""
    values = [text for schema in kinds.get(name, []) if (text := _of_schema(schema))]
    if name in PATIENCE:
        real, least = PATIENCE[name]
        return f"{max(values, key=len)}; with the mocks {real} / `MOCK_SPEED`, {least} at least"
    return max(values, key=len, default=NONE)


def _of_schema(schema: dict[str, Any]) -> str:
    [schema, *_] = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    choices = schema.get("enum") or _choices(schema.get("pattern", ""))
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    if schema.get("format") == "password":
        return "secret"
    if schema.get("type") in ("integer", "number"):
        return _range(schema)
    return str(schema.get("description", "")).replace("'", "`")


def _choices(pattern: str) -> list[str]:
    found = _CHOICES.fullmatch(pattern)
    return found[1].split("|") if found else []


def _range(schema: dict[str, Any]) -> str:
    kind = "integer" if schema["type"] == "integer" else "number"
    least = f"from {schema['minimum']}" if "minimum" in schema else ""
    if "exclusiveMinimum" in schema:
        least = f"above {schema['exclusiveMinimum']}"
    most = f"to {schema['maximum']}" if "maximum" in schema else ""
    return " ".join(filter(None, (kind, least, most)))


def _readers(name: str) -> str:
    if CLIENT.fullmatch(name):
        return "*clients*"
    readers = [each.name for each in (*ALL, LOADTEST) if each.reads(name)]
    return "*all*" if len(readers) == len(ALL) + 1 else ", ".join(readers) or NONE


def document() -> str:
    """The page."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for name, info in fields():
        kinds.setdefault(name, []).append(type_of(info).json_schema())
    parts = [ABOVE.format(command=COMMAND)]
    for section in sections():
        rows = "".join(
            _row(each.name, each.default, each.meaning, _values(each.name, kinds))
            for each in section.settings
        )
        linked = _PAGE.sub(r"[docs/\1](\1)", section.about)
        about = f"{linked}\n\n" if linked else ""
        parts.append(
            f"\n## {section.title}\n\n{about}"
            "| setting | default | meaning | values | read by |\n|---|---|---|---|---|\n" + rows
        )
    parts.append(BELOW.format(names=", ".join(f"`{name}`" for name in set_by_the_stack())))
    return "".join(parts)


def _row(name: str, default: str, meaning: str, values: str) -> str:
    shown = f"`{default}`" if default else NONE
    return f"| `{name}` | {shown} | {meaning} | {values} | {_readers(name)} |\n"


def main() -> None:
    """Write it."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    PAGE.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main()
