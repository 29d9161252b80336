"""What is known to be left at a vendor when an activity that submits has been stopped."""

import pytest
from temporalio.api.enums.v1 import TimeoutType
from temporalio.exceptions import ApplicationError, CancelledError, TimeoutError

from services.worker.deterministic.cancellation import _left
from services.worker.models import Left

NOTHING, DOUBT = Left(in_doubt=False), Left(in_doubt=True)
KIND = {"failure_class": "outcome_unknown"}
ACCEPTED = {"vendor_id": "v-1", "accepted_at": 0.0}


def dead(*beats: object) -> TimeoutError:
    """A worker that was not heard of any more."""
    kind = TimeoutType.TIMEOUT_TYPE_HEARTBEAT
    return TimeoutError("dead", type=kind, last_heartbeat_details=list(beats))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cause", "left"),
    [
        (ApplicationError("full", KIND, {"in_doubt": False, "vendor_id": None}), NOTHING),
        (
            ApplicationError("stopped", KIND, {"in_doubt": False, "vendor_id": "v-1"}),
            Left(in_doubt=False, vendor_id="v-1"),
        ),
        (ApplicationError("reset", KIND, {"in_doubt": True, "vendor_id": None}), DOUBT),
        (ApplicationError("by an older worker", KIND), DOUBT),
        (ApplicationError("by nobody of ours"), DOUBT),
        (ApplicationError("garbage", {"in_doubt": [], "vendor_id": 3}), DOUBT),
        (ApplicationError("by nobody of ours", "words"), DOUBT),
        (dead(), DOUBT),
        (dead(None, 0, False, True), DOUBT),
        (dead(ACCEPTED, 0), Left(in_doubt=True, vendor_id="v-1")),
    ],
)
def test_the_last_try_tells_what_it_leaves(cause: BaseException, left: Left) -> None:
    assert _left(cause) == left


@pytest.mark.parametrize(
    "cause", [None, CancelledError("between two tries"), ValueError("by hand")]
)
def test_of_what_says_nothing_anything_may_be_left(cause: BaseException | None) -> None:
    """The server itself ends an activity that waits for its next try, and so can an operator."""
    assert _left(cause) == DOUBT
