"""Which of our addresses a vendor can call."""

import pytest

from shared.pipeline.hosts import may_reach

OUTSIDE, INSIDE, HERE = "https://kling.example", "http://10.0.0.9:8188", "http://127.0.0.1:16882"


@pytest.mark.parametrize(
    ("ours", "vendor", "reached"),
    [
        ("https://callbacks.example", OUTSIDE, True),
        ("http://callbacks.example", OUTSIDE, False),
        ("https://10.0.0.5", OUTSIDE, False),
        ("https://callback.internal", OUTSIDE, False),
        ("http://10.0.0.5:8001", INSIDE, True),
        ("http://127.0.0.1:8001", INSIDE, False),
        ("http://127.0.0.1:8001", HERE, True),
        ("http://10.0.0.5:8001", HERE, True),
    ],
)
def test_vendor_reaches_an_address_of_its_own_network(
    ours: str, vendor: str, *, reached: bool
) -> None:
    assert may_reach(ours, vendor) is reached
