"""A plan by name, and how its rules are written."""

from dataclasses import dataclass
from typing import Any

Raw = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Preset:
    """`fatal`: the jobs that it strikes have to fail; without it none has to."""

    says: str
    expect: str
    rules: tuple[Raw, ...]
    fatal: bool = False


def rule(name: str, point: str, members: Raw | None = None, /, **rest: Any) -> Raw:
    """`point` is `where.do`; `members` are told under `with`."""
    where, _, do = point.partition(".")
    told = {"with": members} if members else {}
    service = {"service": "video"} if where == "callback" else {}
    return {"name": name, **service, "where": where, "do": do, **told, **rest}
