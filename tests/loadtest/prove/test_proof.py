"""The verdict over all parts: one that fails, is missing or torn fails the whole, by its name."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from compose.stack.commands import prove
from loadtest.books import raw, seal
from loadtest.books.raw import Damaged
from loadtest.prove.found import CHAOS, RESULT
from loadtest.prove.proof import NOTED, PARTS, PLAN, Verdict, read
from tests.loadtest.prove.made import STRIKES, Made

NAMES = [part.name for part in PARTS]
VIOLATION = {"rule": "nothing is paid or made twice", "who": "job-1", "text": "two videos"}


def test_the_parts_that_are_judged_are_those_that_are_run() -> None:
    assert [part.name for part in prove.PARTS] == NAMES


def test_all_parts_pass(made: Made) -> None:
    found = read(made.folder, seal=True)

    assert (found.passed, found.status) == (True, 0)
    assert found.headline == "PASS: all 5 parts passed"
    by_name = {outcome.part.name: outcome.found for outcome in found.outcomes}
    assert [by_name[name].jobs for name in NAMES] == [2] * 5
    assert (by_name["faults"].faults, by_name["kills"].kills) == (1, len(STRIKES))
    assert all(f.paid == 4 and not f.paid_twice and not f.violations for f in by_name.values())


def _without_faults(made: Made) -> None:
    (made.run("faults").raw / raw.FAULTS).unlink()
    seal.write(made.run("faults"))


def _one_not_killed(made: Made) -> None:
    made.run("kills").write(CHAOS, {"struck": STRIKES[1:]})
    seal.write(made.run("kills"))


def _other_stages(made: Made) -> None:
    run = made.run("ladder").read(raw.RUN)
    run["plan"]["stages"] = [1]
    made.run("ladder").write(raw.RUN, run)
    seal.write(made.run("ladder"))


def _acquitted(made: Made) -> None:
    """The wrong build's books are those of a sound one."""
    wrong = made.folder / "control" / "wrong"
    shutil.rmtree(wrong)
    shutil.copytree(made.run("ladder").path, wrong)


def _torn(made: Made) -> None:
    with (made.run("ladder").raw / raw.JOBS).open("a") as out:
        out.write('{"stage": 0, "li')
    seal.write(made.run("ladder"))


def _unsealed(made: Made) -> None:
    (made.run("chaos").path / seal.NAME).unlink()


def _broken_off(made: Made) -> None:
    run = made.run("ladder").read(raw.RUN)
    made.run("ladder").write(raw.RUN, run | {"why": "unfinished"})
    seal.write(made.run("ladder"))


@pytest.mark.parametrize(
    ("harm", "name", "reason"),
    [
        (lambda made: made.ended("ladder", status=1), "ladder", "ended with 1"),
        (lambda made: made.ended("chaos", status=2, reason="no ports"), "chaos", "no ports"),
        (lambda made: shutil.rmtree(made.folder / "faults"), "faults", "left 0 runs"),
        (lambda made: made.result("chaos", VIOLATION), "chaos", "paid or made twice: job-1"),
        (lambda made: (made.run("kills").path / RESULT).write_text("{"), "kills", "is damaged"),
        (lambda made: (made.run("kills").path / RESULT).unlink(), "kills", "No such file"),
        (lambda made: (made.run("kills").raw / CHAOS).write_text("[]"), "kills", "is damaged"),
        (lambda made: (made.run("ladder").raw / raw.RUN).write_text("{}"), "ladder", "damaged"),
        (_without_faults, "faults", "no fault fired"),
        (_one_not_killed, "kills", "workers was not killed"),
        (_other_stages, "ladder", "not the stages 2"),
        (_acquitted, "control", "not convicted"),
        (_torn, "ladder", "1 damaged lines"),
        (_unsealed, "chaos", "not sealed"),
        (_broken_off, "ladder", "did not come to its end: unfinished"),
    ],
)
def test_a_part_that_is_not_as_it_should_be_fails_the_whole(
    made: Made, harm: Callable[[Made], object], name: str, reason: str
) -> None:
    harm(made)
    found = read(made.folder, seal=True)

    assert (found.passed, found.status) == (False, 1)
    assert found.headline == f"FAIL: {name} failed"
    [reasons] = [o.reasons for o in found.outcomes if o.verdict is Verdict.FAILED]
    assert any(reason in text for text in reasons)


def test_a_part_that_is_missing_fails_the_whole(made: Made) -> None:
    made.never_ended("chaos", "control")
    found = read(made.folder)

    assert (found.passed, found.status) == (False, 1)
    assert found.headline == "FAIL: chaos, control not run"


def test_an_interrupt_is_told_with_what_was_not_run(made: Made) -> None:
    made.never_ended("control")
    made.ended("chaos", status=130)
    found = read(made.folder, seal=True)

    assert found.status == 130
    assert found.headline == "FAIL: chaos broken off; control not run"


def test_a_stack_that_never_came_is_told_by_the_status(made: Made) -> None:
    made.ended("ladder", status=3, reason="not ready after 60 s")

    assert read(made.folder).status == 3
    made.ended("chaos", status=1)
    assert read(made.folder).status == 1


def test_what_is_changed_behind_the_end_fails_the_whole(made: Made) -> None:
    root = read(made.folder, seal=True).root
    made.ended("chaos")
    made.result("kills")
    (made.folder / "chaos" / "run" / seal.NAME).unlink()
    found = read(made.folder)

    assert found.root == root
    assert found.status == 1
    assert found.broken == (
        f"chaos/run/{seal.NAME} was removed",
        f"raw/{NOTED} was changed",
    )


def test_without_its_seal_it_fails_the_whole(made: Made) -> None:
    read(made.folder, seal=True)
    (made.folder / seal.NAME).unlink()
    found = read(made.folder)

    assert (found.passed, found.status) == (False, 1)
    assert "not sealed" in found.headline


def test_torn_notes_fail_the_whole(made: Made) -> None:
    with (made.raw.raw / NOTED).open("a") as out:
        out.write('{"name": "ladder", "sta\n{"name": "ladder"}\n')
    found = read(made.folder)

    assert found.broken == (f"{NOTED}: 2 damaged lines",)
    assert found.status == 1


@pytest.mark.parametrize("text", ["", "{", '{"mode": "local"}'])
def test_a_folder_without_a_plan_holds_no_proof(tmp_path: Path, text: str) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / PLAN).write_text(text)

    with pytest.raises(Damaged):
        read(tmp_path, seal=True)
    assert not (tmp_path / seal.NAME).exists()
