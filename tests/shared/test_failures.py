"""The error tree and its seven classes, as the vendors' facts ask for them."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

import tests.messages.test_messages  # noqa: F401 - imports every module, so that every error is known
from shared.errors import (
    AttemptTimedOut,
    BadResult,
    GenerationFailed,
    GenerationLost,
    GenvideoError,
    GivenUp,
    NeverDelivered,
    NeverTold,
    OutcomeUnknown,
    RefusedForGood,
    RefusedForNow,
    ResultNotAllowed,
    VendorError,
    WrongKind,
    explained,
)
from shared.failures import MAX_ATTEMPTS, RULES, Counted, FailureClass
from shared.pipeline.policies import ATTEMPT_CODES
from shared.temporal.activities import to_application_error

# The class, which counter, whether the same call is repeated, and a word of what happens next.
ROWS = [
    (NeverDelivered, Counted.DELIVERY, True, "sent again"),
    (RefusedForNow, Counted.DELIVERY, True, "at the vendor's pace"),
    (RefusedForGood, Counted.NOTHING, False, "with the vendor's reason"),
    (OutcomeUnknown, Counted.DELIVERY, True, "looked up by our id"),
    (GenerationFailed, Counted.ATTEMPT, False, "a new attempt under a new id, 4 in all"),
    (GenerationLost, Counted.ATTEMPT, False, "a new attempt under a new id, 4 in all"),
    (GivenUp, Counted.NOTHING, False, "no other one is paid while it may still run"),
    # Further names for what is treated as one of the seven.
    (BadResult, Counted.ATTEMPT, False, "a new attempt"),
    (AttemptTimedOut, Counted.ATTEMPT, False, "a new attempt"),
    (ResultNotAllowed, Counted.NOTHING, False, "the stage has failed"),
    (NeverTold, Counted.NOTHING, False, "while it may still run"),
    (WrongKind, Counted.NOTHING, False, "the stage has failed"),
]


@pytest.mark.parametrize(("kind", "counted", "retried", "word"), ROWS)
def test_each_failure_has_the_documented_cost_and_consequence(
    kind: type[VendorError], counted: Counted, retried: bool, word: str
) -> None:
    error = kind("because")
    assert (error.rule.counted, error.rule.retried) == (counted, retried)
    assert word in error.rule.next
    assert (error.code in ATTEMPT_CODES) is (counted is Counted.ATTEMPT)
    assert (counted is Counted.DELIVERY) is ("no attempt is used up" in error.rule.next)
    told = to_application_error(error)
    assert (told.type, told.message, told.non_retryable) == (kind.code, "because", not retried)
    assert list(told.details) == [explained(error)]
    assert told.details[0]["failure_class"] == kind.failure


def test_every_failure_belongs_to_one_of_seven_kinds() -> None:
    assert len(FailureClass) == len(RULES) == 7
    assert {kind for kind, *_ in ROWS} == set(VendorError.__subclasses__())
    assert {kind.failure for kind, *_ in ROWS} == set(FailureClass)
    assert MAX_ATTEMPTS == 4


def _all(kind: type[GenvideoError]) -> Iterator[type[GenvideoError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _all(each)


@pytest.mark.parametrize("kind", list(_all(GenvideoError)), ids=lambda kind: kind.__name__)
def test_each_class_is_complete(kind: type[GenvideoError]) -> None:
    assert kind.code == kind.code.lower()
    assert 400 <= kind.status <= 599
    assert kind.title


def test_temporal_retries_recoverable_errors_at_the_vendors_pace() -> None:
    again = to_application_error(OutcomeUnknown("?", retry_after=2.5))
    never = to_application_error(RefusedForGood("no"))
    assert (again.type, again.non_retryable) == ("outcome_unknown", False)
    assert again.next_retry_delay == timedelta(seconds=2.5)
    assert (never.type, never.non_retryable) == ("refused_for_good", True)
