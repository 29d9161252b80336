"""The seeds that have once shown something: a line of JSON each in `seeds.jsonl`."""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.plan import Options, Plan, drawn

FILE = Path(__file__).with_name("seeds.jsonl")


@dataclass(frozen=True)
class Stored:
    """A seed, its options (drawn where None), the rule it broke, how; `open`: it still does."""

    seed: int
    options: Options | None
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
    given = line.pop("options", None)
    options = None
    if isinstance(given, dict):
        options = Options(**{**given, "kinds": tuple(given.get("kinds", ()))})
    return Stored(**line, options=options)  # type: ignore[arg-type]
