"""Parts go on behind one that fails; whatever happens is noted, and no stack is left."""

import json
from collections.abc import Mapping, Sequence
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
    """Stand in for the judge and for the removal of a stack."""

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


@pytest.fixture
def proof(root: Path, tmp_path: Path) -> Proof:
    (tmp_path / "prove-1" / "raw").mkdir(parents=True)
    return Proof(root=root, folder=tmp_path / "prove-1", mode=Mode.LOCAL, seed="7")


def parts(monkeypatch: pytest.MonkeyPatch, *runs: Part) -> None:
    """A proof of these."""
    monkeypatch.setattr(prove, "PARTS", {f"part-{n}": run for n, run in enumerate(runs)})


def _raises(error: BaseException) -> Part:
    def run(_: Proof, __: str) -> int:
        raise error

    return run


def test_later_parts_run_after_a_failed_one(
    settings: Load, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = StackError("not ready", UNREACHABLE)
    parts(monkeypatch, lambda *_: 1, _raises(wrong), lambda *_: 0)

    assert prove.prove(settings(**AS_PROCESSES), AS_PROCESSES) == VERDICT
    told = [(row["status"], row["reason"]) for row in recorder.noted]
    assert told == [(1, ""), (UNREACHABLE, "not ready"), (0, "")]
    drawn = ["prove", str(recorder.folder)]
    assert recorder.pages == [drawn, drawn, drawn, [*drawn, "--seal"]]
    plan = json.loads((recorder.folder / "raw" / "plan.json").read_text("utf-8"))
    assert (plan["mode"], plan["seed"], plan["workers"]) == ("local", "7", 2)
    assert plan["command"] == "make prove SEED=7 MODE=local"


@pytest.mark.parametrize("last", [lambda *_: INTERRUPTED, _raises(KeyboardInterrupt())])
def test_interrupt_still_writes_the_page(
    settings: Load, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, last: Part
) -> None:
    parts(monkeypatch, lambda *_: 0, last, lambda *_: 0)
    prove.prove(settings(**AS_PROCESSES), AS_PROCESSES)
    assert [row["status"] for row in recorder.noted] == [0, INTERRUPTED]
    assert recorder.pages[-1] == ["prove", str(recorder.folder), "--seal"]


@pytest.mark.parametrize(
    ("line", "environ", "said"),
    [
        ("", {"SEED": "x"}, "SEED=x"),
        ("TEMPORAL_ADDRESS=prod:7233", {}, "start a server and all parts"),
        ("ROLES=temporal,api,worker", {}, "start a server and all parts"),
    ],
)
def test_wrong_option_is_one_line_and_starts_nothing(
    settings: Load, root: Path, recorder: Recorder, line: str, *, environ: dict[str, str], said: str
) -> None:
    (root / ".env").write_text(f"{line}\n")
    with pytest.raises(StackError, match=said):
        prove.prove(settings(MODE="local"), environ)
    assert recorder.pages == []
    assert not (root / "reports").exists()


@pytest.mark.parametrize("status", [0, 1])
def test_part_has_its_own_stack_and_keeps_its_data_after_a_failure(
    settings: Load, recorder: Recorder, proof: Proof, status: int
) -> None:
    users = settings()
    (proof.root / ".env").write_text("STORE_URL=s3:theirs\n")

    def jobs(own: Settings, environ: Mapping[str, str]) -> int:
        own.data_dir.mkdir(parents=True)
        assert environ == {"PRESET": "x", "SEED": "7"}
        assert own.compose_project_name != users.compose_project_name
        assert not set(own.ports.values()) & set(users.ports.values())
        assert (own.workers, own.mocks_word, own.own_temporal) == (2, "on", True)
        assert own.values["STORE_URL"] == "file:"
        assert own.reports_dir == proof.folder / "ladder"
        return status

    assert prove._jobs(proof, "ladder", jobs, PRESET="x") == status
    [stopped] = recorder.down
    assert stopped.data_dir.is_relative_to(proof.folder / "stacks")
    assert stopped.data_dir.exists() == bool(status)


@pytest.mark.parametrize("end", [StackError("not ready", UNREACHABLE), KeyboardInterrupt()])
def test_stack_of_a_part_is_always_removed(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, proof: Proof, end: BaseException
) -> None:
    impatient = iter((KeyboardInterrupt(), KeyboardInterrupt()))

    def jobs(_: Settings, __: Mapping[str, str]) -> int:
        raise end

    def down(settings: Settings) -> None:
        for interrupt in impatient:
            raise interrupt
        recorder.down.append(settings)

    monkeypatch.setattr(lifecycle, "down", down)
    prove._carried_out(proof, "ladder", lambda proof, name: prove._jobs(proof, name, jobs))
    assert len(recorder.down) == 1
