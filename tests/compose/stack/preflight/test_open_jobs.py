"""The vendors are not switched under open jobs, unless that is said."""

from typing import Any

import pytest

from compose.stack.errors import UNREACHABLE, VERDICT, StackError
from compose.stack.modes.stack import Unit
from compose.stack.preflight import open_jobs
from compose.stack.settings import saved
from compose.stack.settings.load import Settings
from compose.stack.settings.saved import Saved
from tests.compose.stack.conftest import Load
from tests.compose.stack.preflight.test_vendors import REAL
from tests.compose.stack.settings.test_roles import ELSEWHERE

OURS = [Unit(name, name, "running", True, "") for name in ("api", "worker")]
ALONE = [Unit("worker", "worker-1", "running", True, "")]
WITH_MOCKS = [*OURS, Unit("mock-kling", "mock-kling", "running", True, "")]
OPEN = {"jobs": [{"job_id": "a"}], "waiting_count": 2}


@pytest.fixture
def real(settings: Load) -> Settings:
    return settings(**REAL)


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the API tells of them; how often it was asked."""
    told: dict[str, Any] = {"view": OPEN, "asked": 0}

    def answer(_: Settings, path: str) -> Any:
        assert path in ("/slots", "/jobs?status=running&limit=100")
        told["asked"] += 1
        if isinstance(told["view"], StackError):
            raise told["view"]
        return told["view"]

    monkeypatch.setattr(open_jobs, "api", answer)
    return told


def test_it_is_refused_in_one_line_that_says_how_many_and_what_would_happen(
    slots: dict[str, Any], real: Settings
) -> None:
    with pytest.raises(StackError) as refused:
        open_jobs.check(real, WITH_MOCKS, force=False)
    assert refused.value.status == VERDICT
    assert str(refused.value) == (
        "3 jobs are open (1 at work, 2 waiting): their next generations would be real and paid,"
        " and what the mocks had accepted would count as lost. So nothing was changed: let them"
        " end, or cancel them; FORCE=1 goes on all the same"
    )


def test_and_back_to_the_mocks(slots: dict[str, Any], settings: Load) -> None:
    slots["view"] = {"jobs": [], "waiting_count": 1}
    line = r"1 job is open .*0 at work.* from the mocks, and what the vendors had accepted"
    with pytest.raises(StackError, match=line):
        open_jobs.check(settings(), OURS, force=False)


def test_with_force_it_is_said_and_goes_on(
    slots: dict[str, Any], real: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    open_jobs.check(real, WITH_MOCKS, force=True)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("3 jobs are open")


def test_nothing_open_is_nothing_to_say(
    slots: dict[str, Any], real: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    slots["view"] = {"jobs": [], "waiting_count": 0}
    open_jobs.check(real, WITH_MOCKS, force=False)
    assert capsys.readouterr() == ("", "")


def test_where_nobody_tells_nothing_is_changed(slots: dict[str, Any], real: Settings) -> None:
    slots["view"] = StackError("http://api does not answer; make ps", UNREACHABLE)
    with pytest.raises(StackError, match="isn't known: http://api does not answer"):
        open_jobs.check(real, WITH_MOCKS, force=False)


@pytest.mark.parametrize("units", [[], WITH_MOCKS], ids=["down", "the same"])
def test_where_the_vendors_stay_nobody_is_asked(
    slots: dict[str, Any], settings: Load, units: list[Unit]
) -> None:
    open_jobs.check(settings(), units, force=False)
    assert slots["asked"] == 0


@pytest.mark.parametrize("mocks", [True, False])
def test_a_part_alone_is_brought_up_again_and_no_api_is_asked(
    slots: dict[str, Any], settings: Load, mocks: bool
) -> None:
    found = settings(**ELSEWHERE, **({} if mocks else REAL), ROLES="worker")
    saved.write(found.run_dir, Saved("local", mocks=mocks))
    open_jobs.check(found, ALONE, force=False)
    assert slots["asked"] == 0


def test_nor_are_the_vendors_of_a_part_alone_switched_under_open_jobs(
    slots: dict[str, Any], settings: Load
) -> None:
    found = settings(**ELSEWHERE, **REAL, ROLES="worker")
    saved.write(found.run_dir, Saved("local", mocks=True))
    with pytest.raises(StackError, match="3 jobs are open"):
        open_jobs.check(found, ALONE, force=False)
