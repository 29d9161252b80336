"""What a bill would show, judged from the ledger's rows."""

import pytest

from services.mock_core.ledger.generation import DeliveryAttempt
from services.mock_core.ledger.ledger import judge
from tests.services.mock_core.makers import make_generation


def _attempt(
    delivery_id: str = "d", reply: int | None = 200, *, bent: bool = False
) -> DeliveryAttempt:
    return DeliveryAttempt(delivery_id, "succeed", bent=bent, sent_at=1.0, reply=reply)


def test_two_charges_of_one_external_id_are_one_too_many() -> None:
    rows = [make_generation(external_id="a", charged=True) for _ in range(2)]
    verdict = judge(rows, fetched_late=())
    assert (verdict["ok"], verdict["charged_twice"]) == (False, ["a"])


def test_charges_of_two_attempts_are_right() -> None:
    rows = [make_generation(external_id=name, charged=True) for name in ("a.1", "a.2")]
    assert judge(rows, fetched_late=())["ok"]


@pytest.mark.parametrize(
    ("attempts", "ok"),
    [
        ([_attempt()], True),
        ([_attempt(reply=503)], False),
        ([_attempt(reply=None)], False),
        ([_attempt(reply=503), _attempt(reply=200)], True),
        ([_attempt(reply=404)], False),
        ([_attempt(reply=404, bent=True)], True),
        ([_attempt(reply=500, bent=True)], False),
        ([DeliveryAttempt("d", "succeed", note="lost")], True),
    ],
)
def test_each_callback_that_was_sent_needs_an_answer(
    attempts: list[DeliveryAttempt], ok: bool
) -> None:
    row = make_generation(delivery_attempts=attempts)
    assert judge([row], fetched_late=())["ok"] is ok


def test_a_fetch_after_expiry_is_told() -> None:
    verdict = judge([], fetched_late={"x.mp4"})
    assert (verdict["ok"], verdict["fetched_after_expiry"]) == (False, ["x.mp4"])
