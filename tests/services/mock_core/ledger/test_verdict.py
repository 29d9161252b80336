"""What a bill would show, judged from the ledger's rows."""

import pytest

from services.mock_core.ledger.generation import Delivery
from services.mock_core.ledger.verdict import judge
from tests.services.mock_core.makers import make_generation


def _delivery(delivery_id: str = "d", reply: int | None = 200, *, bent: bool = False) -> Delivery:
    return Delivery(delivery_id, "succeed", bent=bent, sent_at=1.0, reply=reply)


def test_two_charges_of_one_external_id_are_one_too_many() -> None:
    rows = [make_generation(external_id="a", charged=True) for _ in range(2)]
    verdict = judge(rows, fetched_late=())
    assert (verdict["ok"], verdict["charged_twice"]) == (False, ["a"])


def test_charges_of_two_attempts_are_right() -> None:
    rows = [make_generation(external_id=name, charged=True) for name in ("a.1", "a.2")]
    assert judge(rows, fetched_late=())["ok"]


@pytest.mark.parametrize(
    ("deliveries", "ok"),
    [
        ([_delivery()], True),
        ([_delivery(reply=503)], False),
        ([_delivery(reply=None)], False),
        ([_delivery(reply=503), _delivery(reply=200)], True),
        ([_delivery(reply=404)], False),
        ([_delivery(reply=404, bent=True)], True),
        ([_delivery(reply=500, bent=True)], False),
        ([Delivery("d", "succeed", note="lost")], True),
    ],
)
def test_each_callback_that_was_sent_needs_an_answer(deliveries: list[Delivery], ok: bool) -> None:
    row = make_generation(deliveries=deliveries)
    assert judge([row], fetched_late=())["ok"] is ok


def test_a_fetch_after_expiry_is_told() -> None:
    verdict = judge([], fetched_late={"x.mp4"})
    assert (verdict["ok"], verdict["fetched_after_expiry"]) == (False, ["x.mp4"])
