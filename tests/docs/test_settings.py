"""Every setting stands in `.env.example` with the code's default, and is read by somebody."""

import re

import pytest
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from compose.stack.settings import Settings
from tests.docs.pages import ROOT, read
from tests.docs.settings import (
    COMMAND,
    EXAMPLE,
    PAGE,
    classes,
    document,
    documented,
    fields,
    sections,
    set_by_the_stack,
    type_of,
)

# What the SDK's client configuration reads.
SDK = re.compile(r"TEMPORAL_(ADDRESS|NAMESPACE|API_KEY|TLS|TLS_[A-Z_]+)")
# Documented as the stack sets them; a program that is started by hand has a default of its own.
CHOSEN_BY_THE_STACK = {"LOG_FORMAT", "API_PUBLIC_URL", "TEMPORAL_ADDRESS", "SHUTDOWN_SECONDS"}
STACK = "".join(read(file) for file in (ROOT / "compose" / "stack").rglob("*.py"))


def test_page_matches_the_file_and_the_code() -> None:
    assert read(PAGE) == document(), f"write it anew: {COMMAND}"


def test_every_setting_of_the_file_has_its_own_meaning() -> None:
    names = re.findall(r"^#?([A-Z][A-Z0-9_]*)=", read(EXAMPLE), re.MULTILINE)
    listed = [each.name for _, _, settings in sections() for each in settings]

    assert sorted(names) == sorted(listed) == sorted(documented())


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_every_field_of_a_settings_class_is_documented_or_set_by_the_stack(
    kind: type[BaseSettings],
) -> None:
    names = {field.upper() for field in kind.model_fields} - documented().keys()

    assert [name for name in sorted(names) if f'"{name}"' not in STACK] == []
    assert names <= set(set_by_the_stack())


def test_documented_defaults_match_the_classes() -> None:
    known = documented()
    wrong = {
        name: (known[name].default, info.default)
        for name, info in fields()
        if name in known and name not in CHOSEN_BY_THE_STACK
        if not _same(known[name].default, info)
    }

    assert wrong == {}


def _same(text: str, info: FieldInfo) -> bool:
    if not text:
        return info.is_required() or info.default in ("", None)
    return bool(type_of(info).validate_python(text) == info.default)


def test_every_documented_setting_is_read() -> None:
    known = {name for name, _ in fields()} | {name.upper() for name in Settings.model_fields}
    unread = [
        name
        for name in documented()
        if name not in known and f'"{name}"' not in STACK and not SDK.fullmatch(name)
    ]

    assert unread == []
