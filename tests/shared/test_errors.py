"""The error tree: one code a class, and Temporal's form says whether trying again helps."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

import tests.messages.test_messages  # noqa: F401 - imports every module, so that every error is known
from shared.errors import GenvideoError, OutcomeUnknown, RefusedForGood
from shared.temporal.activities import to_application_error


def _all(kind: type[GenvideoError]) -> Iterator[type[GenvideoError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _all(each)


@pytest.mark.parametrize("kind", list(_all(GenvideoError)), ids=lambda kind: kind.__name__)
def test_each_class_is_whole(kind: type[GenvideoError]) -> None:
    assert kind.code == kind.code.lower()
    assert 400 <= kind.status <= 599
    assert kind.title


def test_temporal_retries_what_may_help_at_the_vendors_pace() -> None:
    again = to_application_error(OutcomeUnknown("?", retry_after=2.5))
    never = to_application_error(RefusedForGood("no"))
    assert (again.type, again.non_retryable) == ("outcome_unknown", False)
    assert again.next_retry_delay == timedelta(seconds=2.5)
    assert (never.type, never.non_retryable) == ("refused_for_good", True)
