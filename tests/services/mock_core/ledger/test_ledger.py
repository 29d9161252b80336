"""The ledger's memory is bounded, and its counts outlive the rows."""

from services.mock_core.ledger.generation import State
from services.mock_core.ledger.ledger import Ledger
from tests.services.mock_core.makers import make_generation


def test_the_oldest_that_have_ended_are_forgotten() -> None:
    ledger = Ledger(keep=3)
    rows = [make_generation(accepted=float(n)) for n in range(5)]
    for row in rows:
        ledger.add(row)
        row.state = State.SUCCEEDED
        ledger.closed(row)
    assert list(ledger) == rows[2:]
    assert (ledger.accepted, ledger.dropped) == (5, 2)
    assert ledger.find(rows[0].id) is None
    assert ledger.find(rows[0].external_id or "") is None


def test_what_is_open_is_never_forgotten() -> None:
    ledger = Ledger(keep=1)
    rows = [make_generation() for _ in range(3)]
    for row in rows:
        ledger.add(row)
    assert list(ledger) == rows
    assert ledger.in_flight == 3


def test_the_latest_of_one_external_id_is_found() -> None:
    ledger = Ledger(keep=10)
    first, second = (make_generation(external_id="same") for _ in range(2))
    ledger.add(first)
    ledger.add(second)
    assert ledger.find("same") is second
    assert ledger.find(first.id) is first
    assert (first.duplicate, second.duplicate, ledger.duplicates) == (False, True, 1)


def test_what_has_vanished_is_unknown_and_stays_in_the_ledger() -> None:
    ledger = Ledger(keep=10)
    row = make_generation()
    ledger.add(row)
    row.vanished = True
    assert ledger.find(row.id) is None
    assert list(ledger.newest()) == []
    assert list(ledger) == [row]
