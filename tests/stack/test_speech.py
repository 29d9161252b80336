"""Two pipelines beside each other: `make example-speech` says what they withstand."""

import pytest

from tests.stack.driver import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def test_jobs_of_two_pipelines_share_one_slot() -> None:
    *_, said = Stack({"MODE": "local"}).make("example-speech").splitlines()
    assert said.startswith("ok   12 jobs, ")
    assert said.endswith("never two jobs at once, none paid twice")
