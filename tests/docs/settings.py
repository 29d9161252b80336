"""`python -m tests.docs.settings` writes docs/settings.md from `.env.example` and the code."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

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


class Setting(NamedTuple):
    """One setting as `.env.example` has it; its meaning is in Markdown."""

    name: str
    default: str
    meaning: str


def sections() -> Iterator[tuple[str, str, list[Setting]]]:
    """Title, introduction and settings of each part of that file, in its order."""
    _, *parts = re.split(r"(?m)^(?=# --- )", read(EXAMPLE))
    for part in parts:
        head = _SECTION.match(part)
        assert head, part[:60]
        found = _SETTING.findall(part[head.end() :])
        settings = [Setting(name, default, _joined(comment)) for comment, name, default in found]
        yield head[1], _joined(head[2] or ""), settings


def _joined(comment: str) -> str:
    return " ".join(line.removeprefix("#").strip() for line in comment.splitlines()).strip()


def documented() -> dict[str, Setting]:
    return {each.name: each for _, _, settings in sections() for each in settings}


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
    listed = _CHOICES.fullmatch(schema.get("pattern", ""))
    if choices := schema.get("enum") or (listed and listed[1].split("|")):
        return ", ".join(f"`{choice}`" for choice in choices)
    if schema.get("format") == "password":
        return "secret"
    if schema.get("type") in ("integer", "number"):
        return _range(schema)
    return str(schema.get("description", "")).replace("'", "`")


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
    kinds: dict[str, list[dict[str, Any]]] = {}
    for name, info in fields():
        kinds.setdefault(name, []).append(type_of(info).json_schema())
    parts = [ABOVE.format(command=COMMAND)]
    for title, about, settings in sections():
        linked = _PAGE.sub(r"[docs/\1](\1)", about)
        parts.append(f"\n## {title}\n\n" + (f"{linked}\n\n" if linked else ""))
        parts.append("| setting | default | meaning | values | read by |\n|---|---|---|---|---|\n")
        for name, default, meaning in settings:
            shown = f"`{default}`" if default else NONE
            cells = (f"`{name}`", shown, meaning, _values(name, kinds), _readers(name))
            parts.append(f"| {' | '.join(cells)} |\n")
    parts.append(BELOW.format(names=", ".join(f"`{name}`" for name in set_by_the_stack())))
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(document(), encoding="utf-8")
