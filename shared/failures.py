"""The seven classes of failure of a call to a vendor: what each costs, and what happens next."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

# How many further attempts follow a generation that was accepted and failed.
MAX_RETRIES = 3
MAX_ATTEMPTS = 1 + MAX_RETRIES


class FailureClass(StrEnum):
    NEVER_DELIVERED = "never_delivered"
    REFUSED_FOR_NOW = "refused_for_now"
    REFUSED_FOR_GOOD = "refused_for_good"
    OUTCOME_UNKNOWN = "outcome_unknown"
    GENERATION_FAILED = "generation_failed"
    GENERATION_LOST = "generation_lost"
    GIVEN_UP = "given_up"


class Counted(StrEnum):
    """The counter of a failure; an attempt is what the vendor may charge for."""

    ATTEMPT = "attempt"
    DELIVERY = "delivery"
    NOTHING = "nothing"


class Rule(NamedTuple):
    """`retried`: the same call again, under the same external id; `next` is for an operator."""

    counted: Counted
    retried: bool
    next: str


_ANEW = f"a new attempt under a new id, {MAX_ATTEMPTS} in all; then the stage has failed"

RULES: Mapping[FailureClass, Rule] = {
    FailureClass.NEVER_DELIVERED: Rule(
        Counted.DELIVERY, True, "sent again until it gets through; no attempt is used up"
    ),
    FailureClass.REFUSED_FOR_NOW: Rule(
        Counted.DELIVERY, True, "asked again at the vendor's pace; no attempt is used up"
    ),
    FailureClass.REFUSED_FOR_GOOD: Rule(
        Counted.NOTHING, False, "the stage has failed, with the vendor's reason"
    ),
    FailureClass.OUTCOME_UNKNOWN: Rule(
        Counted.DELIVERY,
        True,
        "looked up by our id, adopted where it is there, else sent again; no attempt is used up",
    ),
    FailureClass.GENERATION_FAILED: Rule(Counted.ATTEMPT, False, _ANEW),
    FailureClass.GENERATION_LOST: Rule(Counted.ATTEMPT, False, _ANEW),
    FailureClass.GIVEN_UP: Rule(
        Counted.NOTHING, False, "the stage has failed; no other one is paid while it may still run"
    ),
}
