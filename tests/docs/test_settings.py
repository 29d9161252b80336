"""Every setting stands in the README and in `.env.example`, with one default, and is read."""

import importlib
import re
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from tests.docs.pages import README, ROOT, read, spans, tables_headed

EXAMPLE = ROOT / ".env.example"
NONE = "–"
# What the SDK's client configuration reads.
SDK = re.compile(r"TEMPORAL_(ADDRESS|NAMESPACE|API_KEY|TLS|TLS_[A-Z_]+)")
# Documented as the stack sets them; a program that is started by hand has a default of its own.
CHOSEN_BY_THE_STACK = {"LOG_FORMAT", "API_PUBLIC_URL", "TEMPORAL_ADDRESS", "SHUTDOWN_SECONDS"}


def in_readme() -> dict[str, str]:
    rows = [row for table in tables_headed(read(README), "setting") for row in table.rows]
    names = [row[0].strip("`") for row in rows]
    assert len(set(names)) == len(names)
    return {row[0].strip("`"): row[1].strip("`") for row in rows}


def in_example() -> dict[str, str]:
    found = re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", read(EXAMPLE), re.MULTILINE)
    return dict(found)


def set_by_the_stack() -> set[str]:
    after = read(README).split("The stack sets these", 1)[1]
    return set(spans(after.split("</details>")[0].split(":", 1)[1]))


def classes() -> list[type[BaseSettings]]:
    own, parts = ROOT.glob("services/*/settings.py"), ROOT.glob("services/*/settings/*.py")
    files = [*own, *parts, ROOT / "loadtest" / "settings.py"]
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in sorted(files)]
    modules = [importlib.import_module(name) for name in names]
    return [
        item
        for module in modules
        for item in vars(module).values()
        if isinstance(item, type)
        and issubclass(item, BaseSettings)
        and item.__module__ == module.__name__
    ]


def fields() -> list[tuple[str, FieldInfo]]:
    return [
        (field.upper(), info) for kind in classes() for field, info in kind.model_fields.items()
    ]


def test_readme_and_example_list_the_same_settings_with_the_same_defaults() -> None:
    example = {name: default or NONE for name, default in in_example().items()}

    assert in_readme() == example


def test_every_service_has_settings_that_are_looked_at() -> None:
    modules = {kind.__module__ for kind in classes()}

    assert {f"services.{name}.settings" for name in ("semaphore", "api")} < modules
    assert "services.worker.settings.worker" in modules
    assert "loadtest.settings" in modules


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_every_field_of_a_settings_class_is_documented(kind: type[BaseSettings]) -> None:
    documented = set(in_readme()) | set_by_the_stack()

    assert {field.upper() for field in kind.model_fields} <= documented


def test_documented_defaults_are_those_of_the_classes() -> None:
    documented = in_readme()
    wrong = {
        name: (documented[name], info.default)
        for name, info in fields()
        if name in documented and name not in CHOSEN_BY_THE_STACK
        if not _same(documented[name], info)
    }

    assert wrong == {}


def _same(text: str, info: FieldInfo) -> bool:
    if text == NONE:
        return info.is_required() or info.default in ("", None)
    kind: Any = info.annotation
    for item in info.metadata:
        kind = Annotated[kind, item]
    return bool(TypeAdapter(kind).validate_python(text) == info.default)


def test_the_choices_of_a_setting_are_those_of_its_class() -> None:
    meanings = {
        row[0].strip("`"): set(spans(row[2]))
        for table in tables_headed(read(README), "setting")
        for row in table.rows
    }
    wrong = {
        name: choices
        for name, info in fields()
        if name in meanings and name not in CHOSEN_BY_THE_STACK
        if (choices := set(get_args(info.annotation))) and get_origin(info.annotation) is Literal
        if not choices - {info.default} <= meanings[name] <= choices
    }

    assert wrong == {}


def test_every_documented_setting_is_read_by_somebody() -> None:
    stack = "".join(read(file) for file in (ROOT / "compose" / "stack").rglob("*.py"))
    known = {name for name, _ in fields()}
    unread = [
        name
        for name in in_readme()
        if name not in known and f'"{name}"' not in stack and not SDK.fullmatch(name)
    ]

    assert unread == []


def test_what_the_stack_sets_is_no_setting_of_the_users() -> None:
    assert set_by_the_stack().isdisjoint(in_readme())
    assert set_by_the_stack() <= {name for name, _ in fields()}
