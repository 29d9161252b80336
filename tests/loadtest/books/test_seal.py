"""The seal of a run: whatever changes after its end is named, and `sha256sum` says the same."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest.books import raw, seal
from loadtest.books.raw import RunFolder
from loadtest.judge.judge import judge
from loadtest.run.plan import Options
from tests.loadtest.synthetic import Synthetic


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return Synthetic(tmp_path, plan=Options(stages="2", seed="7").plan()).write().folder


def test_an_untouched_run_keeps_its_seal(folder: RunFolder) -> None:
    found = seal.check(folder)

    assert found.broken == ()
    assert found.root == seal.write(folder)
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", seal.NAME],
        cwd=folder.path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes() + b" \n"), "was changed"),
        (Path.unlink, "was removed"),
        (lambda path: path.with_name("more.jsonl").touch(), "was added"),
    ],
    ids=["changed", "removed", "added"],
)
@pytest.mark.parametrize("name", [raw.SLOTS, raw.SUBMITS, raw.LEDGERS["video"]])
def test_a_change_after_the_end_fails_the_run(
    folder: RunFolder, change: Callable[[Path], object], said: str, name: str
) -> None:
    folder.append(raw.SLOTS, [])
    seal.write(folder)
    change(folder.raw / name)

    [reason] = [reason for reason in judge(folder).reasons if "seal" in reason]
    assert said in reason


def test_a_run_without_a_seal_does_not_pass(folder: RunFolder) -> None:
    (folder.path / seal.NAME).unlink()

    assert any("never sealed" in reason for reason in judge(folder).reasons)


def test_a_seal_made_anew_has_another_root(folder: RunFolder) -> None:
    before = seal.check(folder).root
    folder.append(raw.SUBMITS, [{"forged": True}])

    assert seal.write(folder) != before


def test_what_comes_later_is_taken_in_alone(folder: RunFolder) -> None:
    (folder.raw / raw.SUBMITS).write_text("{}\n", "utf-8")
    folder.write(raw.REPLAY, {"replayed": 0, "failures": {}})
    seal.add(folder, folder.raw / raw.REPLAY)

    assert seal.check(folder).broken == (f"raw/{raw.SUBMITS} was changed",)


def test_an_odd_leaf_counts() -> None:
    roots = {seal.root({str(n): "0" * 64 for n in range(count)}) for count in range(6)}

    assert len(roots) == 6
