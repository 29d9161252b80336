"""The allowance of an address: a second's worth at once, then one by one; memory stays bounded."""

from services.api.http.parts import rate_limit
from services.api.http.parts.rate_limit import RateLimit


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    it = RateLimit(4, clock)
    assert [it.delay("a") for _ in range(4)] == [0, 0, 0, 0]
    assert it.delay("a") == 0.25
    assert it.delay("b") == 0
    clock.now += 0.25
    assert it.delay("a") == 0
    assert it.delay("a") > 0
    clock.now += 60
    assert [it.delay("a") for _ in range(4)] == [0, 0, 0, 0]


def test_many_at_once_use_up_what_one_by_one_would() -> None:
    clock = Clock()
    it = RateLimit(4, clock)
    assert it.delay("a", 12) == 0
    assert it.delay("a") == 2.25
    clock.now += 2.25
    assert it.delay("a") == 0


def test_a_refusal_uses_nothing_up() -> None:
    clock = Clock()
    it = RateLimit(1, clock)
    it.delay("a")
    for _ in range(100):
        assert it.delay("a") == 1
    clock.now += 1
    assert it.delay("a") == 0


def test_zero_is_no_limit() -> None:
    it = RateLimit(0, Clock())
    assert {it.delay("a") for _ in range(10_000)} == {0}


def test_many_addresses_are_not_kept_for_ever() -> None:
    clock = Clock()
    it = RateLimit(2, clock)
    for number in range(3 * rate_limit.MOST_ADDRESSES):
        it.delay(str(number))
        clock.now += 0.001
    assert len(it._used_until) <= rate_limit.MOST_ADDRESSES + 1
