"""Parts go on behind one that fails; whatever happens is noted, and no stack is left."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from compose.stack.commands import lifecycle, prove
from compose.stack.commands.prove import Proof
from compose.stack.output import INTERRUPTED, UNREACHABLE, VERDICT, StackError
from compose.stack.settings import Mode, Settings
from tests.compose.stack.conftest import Load

AS_PROCESSES = {"MODE": "local", "SEED": "7"}
NOT_READY = StackError("not ready", UNREACHABLE)


class Recorder:
    """Stand in for the removal of a stack."""

    def __init__(self) -> None:
        self.down: list[Settings] = []


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    found = Recorder()
    monkeypatch.setattr(lifecycle, "down", found.down.append)
    return found


@pytest.fixture
def proof(root: Path, tmp_path: Path) -> Proof:
    return Proof(root=root, folder=tmp_path / "prove-1", mode=Mode.LOCAL, seed="7")


@pytest.mark.parametrize(
    ("runs", "status", "headline"),
    [
        ((0, 0, 0, 0, 0), 0, "PASS: all 5 parts passed"),
        ((0, 1, NOT_READY, 0, 0), VERDICT, "FAIL: faults, kills failed"),
        ((0, 0, 0, 0, NOT_READY), UNREACHABLE, "FAIL: control failed"),
        ((0, INTERRUPTED), INTERRUPTED, "FAIL: faults broken off; kills, chaos, control not run"),
        ((KeyboardInterrupt(),), INTERRUPTED, "ladder broken off; faults, kills, chaos, control"),
    ],
)
def test_every_part_counts_and_an_interrupt_ends_the_proof(
    settings: Load,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    runs: tuple[int | BaseException, ...],
    *,
    status: int,
    headline: str,
) -> None:
    left = list(runs)

    def run(*_: object) -> int:
        end = left.pop(0)
        if isinstance(end, BaseException):
            raise end
        return end

    monkeypatch.setattr(prove, "PARTS", dict.fromkeys(prove.PARTS, run))
    assert prove.prove(settings(**AS_PROCESSES), AS_PROCESSES) == status
    assert left == []
    said = capsys.readouterr().out
    assert headline in said
    [report] = [Path(line[8:]) for line in said.splitlines() if line.startswith("report: ")]
    page = report.with_name("report.md").read_text("utf-8")
    assert headline in page
    assert "make prove SEED=7 MODE=local" in page
    assert ("control: not ready" in page) == (runs[-1] is NOT_READY)


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
    assert recorder.down == []
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
        assert (own.workers, own.mocks, own.own_temporal) == (2, "on", True)
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
