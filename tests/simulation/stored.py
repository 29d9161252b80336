"""The seeds that have once shown something: a line of JSON each in `seeds.jsonl`."""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.plan import Options, Plan, drawn

FILE = Path(__file__).with_name("seeds.jsonl")


@dataclass(frozen=True)
class Stored:
    """One seed with its options, the rule that it broke, and what that was; `open`: it still is."""

    seed: int
    options: Options
    rule: str
    showed: str
    open: bool = False

    def plan(self) -> Plan:
        return drawn(self.seed, self.options)


def stored() -> list[Stored]:
    """All of them."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    return [_read(json.loads(line)) for line in lines if line.strip()]


def _read(line: dict[str, object]) -> Stored:
    options = line.pop("options")
    assert isinstance(options, dict)
    kinds = tuple(options.pop("kinds", ()))
    return Stored(**line, options=Options(**options, kinds=kinds))  # type: ignore[arg-type]
