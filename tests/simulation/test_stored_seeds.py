"""What a seed has shown once is mended, and stays so."""

import pytest

from tests.simulation.simulation import simulate
from tests.simulation.stored import Stored, stored
from tests.simulation.tell import told


@pytest.mark.parametrize("seed", stored(), ids=lambda seed: f"{seed.seed}-{seed.rule}")
def test_a_stored_seed_breaks_no_rule(seed: Stored) -> None:
    outcome = simulate(seed.plan(), tells=True)

    if seed.open:
        # Known, and not mended yet: the simulation must go on to see it.
        assert seed.rule in {violation.rule.name for violation in outcome.violations}
    else:
        assert not outcome.violations, told(outcome)
