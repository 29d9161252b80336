"""What is counted of results and their cost."""

import pytest
from prometheus_client import REGISTRY

from services.worker import metrics
from shared.states import Step


def value(name: str) -> float:
    return REGISTRY.get_sample_value(f"genvideo_worker_{name}_total", {"step": "video"}) or 0.0


@pytest.mark.parametrize(
    ("units", "more"), [("3.5", 3.5), (None, 0), ("a pack", 0), ("-1", 0), ("nan", 0), ("inf", 0)]
)
def test_a_result_counts_once_and_its_units_where_they_are_a_number(
    units: str | None, more: float
) -> None:
    results, charged = value("stored"), value("units")
    metrics.stored(Step.VIDEO, units)
    assert value("stored") == results + 1
    assert value("units") == charged + more
