"""Order statistics, and what they refuse to say."""

import pytest

from loadtest.judge.pace import percentile, spread


def test_percentiles_are_measured_values() -> None:
    ordered = [float(n) for n in range(1, 101)]

    assert [percentile(ordered, p) for p in (1, 50, 95, 99, 100)] == [1, 50, 95, 99, 100]
    assert percentile([7.0], 95) == 7.0


@pytest.mark.parametrize(
    ("n", "p95", "p99"), [(19, False, False), (20, True, False), (100, True, True)]
)
def test_small_samples_have_no_percentiles(n: int, p95: bool, p99: bool) -> None:
    found = spread(float(value) for value in range(n))

    assert (found.p95 is not None, found.p99 is not None) == (p95, p99)
    assert found.n == n


def test_unknown_values_are_left_out() -> None:
    found = spread([None, 3.0, 1.0])

    assert (found.n, found.min, found.median, found.max, found.total) == (2, 1.0, 2.0, 3.0, 4.0)
    assert spread([None]).median is None
