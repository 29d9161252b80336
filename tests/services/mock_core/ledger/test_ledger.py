"""The ledger's memory is bounded, and its counts outlive the rows."""

from services.mock_core.ledger.generation import State
from services.mock_core.ledger.ledger import Registry
from tests.services.mock_core.makers import make_generation


def test_the_oldest_that_have_ended_are_forgotten() -> None:
    registry = Registry(keep=3)
    rows = [make_generation(accepted=float(n)) for n in range(5)]
    for row in rows:
        registry.add(row)
        row.state = State.SUCCEEDED
        registry.closed(row)
    assert list(registry) == rows[2:]
    assert (registry.accepted, registry.dropped) == (5, 2)
    assert registry.find(rows[0].id) is None
    assert registry.find(rows[0].external_id or "") is None


def test_what_is_open_is_never_forgotten() -> None:
    registry = Registry(keep=1)
    rows = [make_generation() for _ in range(3)]
    for row in rows:
        registry.add(row)
    assert list(registry) == rows
    assert registry.in_flight == 3


def test_the_latest_of_one_external_id_is_found() -> None:
    registry = Registry(keep=10)
    first, second = (make_generation(external_id="same") for _ in range(2))
    registry.add(first)
    registry.add(second)
    assert registry.find("same") is second
    assert registry.find(first.id) is first
    assert (first.duplicate, second.duplicate, registry.duplicates) == (False, True, 1)


def test_what_has_vanished_is_unknown_and_stays_in_the_ledger() -> None:
    registry = Registry(keep=10)
    row = make_generation()
    registry.add(row)
    row.vanished = True
    assert registry.find(row.id) is None
    assert list(registry.newest()) == []
    assert list(registry) == [row]
