"""The product in virtual time, for as long as a test runs."""

from collections.abc import Iterator

import pytest

from tests.simulation.product import product_in_virtual_time


@pytest.fixture(autouse=True)
def _virtual_time() -> Iterator[None]:
    with product_in_virtual_time():
        yield
