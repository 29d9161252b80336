"""Parts go on behind one that fails; whatever happens is noted, and no stack is left."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from compose.stack.commands import lifecycle, prove
from compose.stack.commands.prove import Part, Proof
from compose.stack.output import INTERRUPTED, UNREACHABLE, VERDICT, StackError
from compose.stack.settings import Mode, Settings
from compose.stack.subprocesses import Outcome
from tests.compose.stack.conftest import Load

AS_PROCESSES = {"MODE": "local", "SEED": "7"}


class Recorder:
    """Takes the place of the judge, and of whoever stops a stack."""

    def __init__(self) -> None:
        self.pages: list[list[str]] = []
        self.down: list[Settings] = []

    def capture(self, command: Sequence[str]) -> Outcome:
        self.pages.append(list(command[3:]))
        return Outcome(0, "", "")

    def hand_over(self, command: Sequence[str], *, cwd: Path) -> int:
        self.pages.append(list(command[3:]))
        return VERDICT

    @property
    def folder(self) -> Path:
        return Path(self.pages[-1][1])

    @property
    def noted(self) -> list[dict[str, Any]]:
        lines = (self.folder / "raw" / "parts.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    found = Recorder()
    monkeypatch.setattr(prove, "capture", found.capture)
    monkeypatch.setattr(prove, "hand_over", found.hand_over)
    monkeypatch.setattr(lifecycle, "down", found.down.append)
    return found


def parts(monkeypatch: pytest.MonkeyPatch, *runs: Callable[[Proof], int]) -> None:
    """A proof of these."""
    several = tuple(Part(f"part-{n}", run) for n, run in enumerate(runs))
    monkeypatch.setattr(prove, "PARTS", several)


def _raises(error: BaseException) -> Callable[[Proof], int]:
    def run(_: Proof) -> int:
        raise error

    return run


def test_parts_go_on_behind_one_that_fails(
    settings: Load, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = StackError("not ready", UNREACHABLE)
    parts(monkeypatch, lambda _: 1, _raises(wrong), lambda _: 0)

    assert prove.prove(settings(**AS_PROCESSES), AS_PROCESSES) == VERDICT
    told = [(row["status"], row["reason"]) for row in recorder.noted]
    assert told == [(1, ""), (UNREACHABLE, "not ready"), (0, "")]
    drawn = ["prove", str(recorder.folder)]
    assert recorder.pages == [drawn, drawn, drawn, [*drawn, "--seal"]]


@pytest.mark.parametrize("last", [lambda _: INTERRUPTED, _raises(KeyboardInterrupt())])
def test_an_interrupt_ends_it_with_a_page(
    settings: Load,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    last: Callable[[Proof], int],
) -> None:
    parts(monkeypatch, lambda _: 0, last, lambda _: 0)
    prove.prove(settings(**AS_PROCESSES), AS_PROCESSES)

    assert [row["status"] for row in recorder.noted] == [0, INTERRUPTED]
    assert recorder.pages[-1] == ["prove", str(recorder.folder), "--seal"]


def test_what_is_planned_is_noted_first(
    settings: Load, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts(monkeypatch)
    prove.prove(settings(**AS_PROCESSES), AS_PROCESSES)

    plan = json.loads((recorder.folder / "raw" / "plan.json").read_text("utf-8"))
    assert (plan["mode"], plan["seed"], plan["workers"]) == ("local", "7", 2)
    assert plan["command"] == "make prove SEED=7 MODE=local"


def test_a_seed_that_is_none_starts_nothing(settings: Load, recorder: Recorder) -> None:
    with pytest.raises(StackError, match="SEED=x"):
        prove.prove(settings(), {"SEED": "x"})

    assert recorder.pages == []


@pytest.mark.parametrize("line", ["TEMPORAL_ADDRESS=prod:7233", "ROLES=temporal,api,worker"])
def test_what_is_not_a_whole_stack_of_its_own_is_refused_in_one_line(
    settings: Load, root: Path, recorder: Recorder, line: str
) -> None:
    (root / ".env").write_text(f"{line}\n")
    with pytest.raises(StackError, match="start a server and all parts"):
        prove.prove(settings(MODE="local"), {})

    assert not (root / "reports").exists()


@pytest.mark.parametrize("status", [0, 1])
def test_a_part_has_a_stack_of_its_own_whose_data_stay_where_it_failed(
    root: Path, settings: Load, recorder: Recorder, tmp_path: Path, status: int
) -> None:
    users = settings()
    (root / ".env").write_text("STORE_URL=s3:theirs\n")
    proof = Proof(root=root, folder=tmp_path / "prove-1", mode=Mode.LOCAL, seed="7", environ={})

    def jobs(own: Settings, environ: Mapping[str, str]) -> int:
        own.data_dir.mkdir(parents=True)
        assert environ == {"PRESET": "x", "SEED": "7"}
        assert own.compose_project_name != users.compose_project_name
        assert not set(own.ports.values()) & set(users.ports.values())
        assert (own.workers, own.mocks_word, own.own_temporal) == (2, "on", True)
        assert own.values["STORE_URL"] == "file:"
        assert own.reports_dir == tmp_path / "prove-1" / "ladder"
        return status

    assert prove._jobs("ladder", jobs, PRESET="x").run(proof) == status
    [stopped] = recorder.down
    assert stopped.data_dir.is_relative_to(tmp_path / "prove-1" / "stacks")
    assert stopped.data_dir.exists() == bool(status)


def test_an_interrupt_while_a_stack_is_stopped_has_it_stopped_all_the_same(
    root: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proof = Proof(root=root, folder=tmp_path / "prove-1", mode=Mode.LOCAL, seed="7", environ={})
    impatient = iter((KeyboardInterrupt(), KeyboardInterrupt()))

    def down(settings: Settings) -> None:
        for interrupt in impatient:
            raise interrupt
        recorder.down.append(settings)

    monkeypatch.setattr(lifecycle, "down", down)
    prove._jobs("ladder", lambda own, environ: INTERRUPTED).run(proof)

    assert len(recorder.down) == 1


def test_a_stack_that_does_not_come_up_is_taken_away(
    root: Path, recorder: Recorder, tmp_path: Path
) -> None:
    proof = Proof(root=root, folder=tmp_path / "prove-1", mode=Mode.LOCAL, seed="7", environ={})

    def jobs(own: Settings, _: Mapping[str, str]) -> int:
        raise StackError(f"not ready: {own.compose_project_name}", UNREACHABLE)

    with pytest.raises(StackError, match="not ready"):
        prove._jobs("ladder", jobs).run(proof)
    assert len(recorder.down) == 1
