"""Each part has a stack of its own, which is taken away whatever happens."""

import importlib.util
from pathlib import Path

import pytest

from compose.stack import modes
from compose.stack.commands import bench
from compose.stack.environment import environment_of
from compose.stack.local import Local
from compose.stack.output import StackError
from compose.stack.services import WORKER
from compose.stack.settings import Mode, Settings


class Stacks:
    """Takes the place of every stack; notes what became of each."""

    def __init__(self) -> None:
        self.up: list[Settings] = []
        self.down: list[Settings] = []
        self.called: list[list[str]] = []
        self.status = 0

    def __call__(self, settings: Settings) -> Local:
        stacks = self

        class Stack(Local):
            def up(self) -> None:
                stacks.up.append(settings)

            def down(self) -> None:
                stacks.down.append(settings)

            def loadtest(self, arguments: list[str], env: object = None, module: str = "") -> int:
                assert importlib.util.find_spec(f"{module}.__main__")
                stacks.called.append(arguments)
                return stacks.status

        return Stack(settings)


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> Stacks:
    found = Stacks()
    monkeypatch.setattr(bench, "Local", found)
    monkeypatch.setattr(modes, "wait", lambda settings, run: None)
    return found


def test_parts_run_in_order_and_fill_the_table(root: Path, stacks: Stacks) -> None:
    assert bench.bench(root, {"RUNS": "3"}) == 0

    assert [call[0] for call in stacks.called] == [*bench.PARTS, "table"]
    assert [settings.workers for settings in stacks.up] == [1, 2, 1, 1, 1, 1]
    assert stacks.down == stacks.up
    options = {call[0]: call[2:] for call in stacks.called}
    assert (options["handover"], options["waiting"]) == (["--runs", "3"], [])
    [folder] = {call[1] for call in stacks.called}
    assert folder.startswith(f"{root / 'reports'}/bench-")


def test_setting_refused_by_a_service_starts_no_stack(root: Path, stacks: Stacks) -> None:
    (root / ".env").write_text("API_MAX_SOCKETS=x\n")
    with pytest.raises(StackError, match="API_MAX_SOCKETS"):
        bench.bench(root, {})
    assert (stacks.up, len(stacks.down)) == ([], 1)


def test_all_mistakes_are_reported_before_the_start(root: Path, stacks: Stacks) -> None:
    with pytest.raises(StackError) as caught:
        bench.bench(root, {"ONLY": "handover,speed", "RUNS": "0"})
    said = str(caught.value)
    assert "ONLY=handover,speed (environment) has no part speed: handover, tak" in said
    assert "RUNS=0 (environment) is not a whole number from 1 on" in said
    assert stacks.up == []


def test_failing_part_ends_the_bench_and_its_stack(root: Path, stacks: Stacks) -> None:
    stacks.status = 3
    assert bench.bench(root, {"ONLY": "intake, handover"}) == 3
    assert [(call[0], call[2:]) for call in stacks.called] == [("handover", [])]
    assert stacks.down == stacks.up
    assert not stacks.up[0].data_dir.exists()


def test_bench_shares_nothing_with_the_users_stack(root: Path, tmp_path: Path) -> None:
    (root / ".env").write_text("MODE=docker\nWORKERS=5\nCALLBACK_URL=http://elsewhere:1\n")
    first = bench.own_settings(root, tmp_path / "a", workers=2)
    second = bench.own_settings(root, tmp_path / "b", workers=2)
    assert (first.mode, first.workers, first.data_dir) == (Mode.LOCAL, 2, tmp_path / "a")
    assert first.values["CALLBACK_URL"] == first.url("CALLBACK_PORT")
    ports = {*first.ports.values(), first.ports[WORKER.port] + 1}
    assert len(ports) == len(first.ports) + 1
    assert not ports & {6889, 7233, 8000, 8001, 8080, 9099, 9100, 16882}
    assert first.ports != second.ports
    inside = bench.own_settings(root, tmp_path / "c", workers=1, mocks={"MODE": "docker"})
    assert environment_of(inside, WORKER, containers=True)["CALLBACK_URL"] == "http://callback:8001"
