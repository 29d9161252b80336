"""The outcome of one check of the report's own data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One check: holds, does not, or could not be made (None)."""

    name: str
    ok: bool | None
    text: str
