"""Every lie about a finished run is convicted, and the job that it is about is named.

Each is told in one copy of a run that passes, and sealed again, so that the seal says nothing.
"""

from pathlib import Path

import pytest

from loadtest.books.raw import RunFolder
from loadtest.judge.judge import judge
from tests.loadtest.forging import families
from tests.loadtest.forging.kit import FORGERIES, Forger, Forgery
from tests.loadtest.forging.recorded import PLAIN, unpack

SEEDS = (1, 2)

assert families


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return unpack(PLAIN, tmp_path_factory.mktemp("run") / "plain")


def test_there_are_enough_of_them() -> None:
    assert len(FORGERIES) * len(SEEDS) >= 120
    assert len({lie.name for lie in FORGERIES}) == len(FORGERIES)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("lie", FORGERIES, ids=lambda lie: lie.name)
def test_it_is_convicted(finished: RunFolder, tmp_path: Path, lie: Forgery, seed: int) -> None:
    forger = Forger(finished, tmp_path / "run", seed=seed)
    named = set(lie.tell(forger))
    forger.seal()

    judgement = judge(forger.folder)

    said = "\n".join(judgement.reasons)
    assert not judgement.passed
    assert not named or any(job in said for job in named), f"{named} in:\n{said}"
