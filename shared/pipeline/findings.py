"""Findings of a vendor's checks."""

from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from shared.errors import NeverDelivered, OutcomeUnknown, RefusedForNow, VendorError
from shared.redact import printable

LONGEST = 1000


class Verdict(StrEnum):
    """`wrong`: no job can succeed like this, or it would cost more than intended. `away`: nor can
    it, because no server answers."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"
    AWAY = "away"


@dataclass(frozen=True)
class Finding:
    """The result of one check, in one sentence; it names the setting to change."""

    check: str
    verdict: Verdict
    says: str


def _finding(verdict: Verdict, check: str, says: str) -> Finding:
    # One terminal line, whatever characters a server's text has.
    text = printable(says)
    return Finding(check, verdict, text if len(text) <= LONGEST else f"{text[:LONGEST]}…")


ok = partial(_finding, Verdict.OK)
warning = partial(_finding, Verdict.WARNING)
wrong = partial(_finding, Verdict.WRONG)


def unasked(check: str, error: VendorError, *, at: str) -> Finding:
    """Return a finding for a vendor that answered no check; `at`: its address, and its setting."""
    if isinstance(error, NeverDelivered):
        return _finding(Verdict.AWAY, check, f"no server answers at {at}: {error.message}")
    if isinstance(error, RefusedForNow | OutcomeUnknown):
        return warning(check, f"{at} is unavailable for now: {error.message}")
    return wrong(check, f"{at}: {error.message}")
