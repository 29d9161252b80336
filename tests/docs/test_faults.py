"""`docs/faults.md` says what the code does: each kind, each preset, each member, each example."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from services.mock_core.clock import DelaySpec
from services.mock_core.faults.kinds import KINDS, Kind
from services.mock_core.faults.presets import PRESETS
from services.mock_core.faults.rules import Rule, read_plan
from services.mock_kling.settings import KlingConfig

PAGE = (Path(__file__).parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


def _members(kind: Kind) -> str:
    fields = kind.members.model_fields
    written = [f"`{name}` {_json(field.default)}" for name, field in fields.items()]
    return ", ".join(written) or "–"


def _json(value: Any) -> str:
    return json.dumps(str(value) if isinstance(value, DelaySpec) else value)


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_page_lists_exactly_the_kinds_and_presets() -> None:
    kinds, presets = (
        [line for line in section(title).splitlines() if line.startswith("| `")]
        for title in ("Kinds of faults", "Presets")
    )
    assert kinds == [
        f"| `{kind.name}` | {_members(kind)} | {kind.says}"
        f"{f' ({kind.service} only)' if kind.service else ''} |"
        for kind in KINDS.values()
    ]
    assert presets == [f"| `{name}` | {it.says} | {it.expect} |" for name, it in PRESETS.items()]


def test_every_member_of_rules_and_configuration_is_explained() -> None:
    for name, member in Rule.model_fields.items():
        assert f"`{member.alias or name}`" in section("A rule")
    for name in KlingConfig.model_fields:
        assert f"`{name}`" in section("Around the plan")


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_valid_plan(example: str) -> None:
    assert read_plan(json.loads(example)).rules
