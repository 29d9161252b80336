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


def test_each_kind_has_its_line_and_no_other_line_is_there() -> None:
    section = PAGE.split("\n## Kinds of faults\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{kind.name}` | {_members(kind)} | {kind.says}"
        f"{f' ({kind.service} only)' if kind.service else ''} |"
        for kind in KINDS.values()
    ]


def test_each_preset_has_its_line_and_no_other_line_is_there() -> None:
    section = PAGE.split("\n## Presets\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{name}` | {it.says} | {it.expect} |" for name, it in PRESETS.items()]


def test_each_member_of_a_rule_is_explained() -> None:
    section = PAGE.split("\n## A rule\n")[1].split("\n## ")[0]
    for name, member in Rule.model_fields.items():
        assert f"`{member.alias or name}`" in section


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_is_a_good_plan(example: str) -> None:
    assert read_plan(json.loads(example)).rules


def test_each_member_of_the_configuration_is_explained() -> None:
    section = PAGE.split("\n## Around the plan\n")[1]
    for name in KlingConfig.model_fields:
        assert f"`{name}`" in section
