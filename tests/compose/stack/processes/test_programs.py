"""Processes of the local mode and what supervisor is told of them."""

import configparser
import stat
import tempfile
from pathlib import Path

import pytest

from compose.stack.processes import programs
from tests.compose.stack.conftest import Load

PYTHON = Path("/venv/bin/python")
ALL = {"temporal", "mock-comfyui", "mock-kling", "semaphore", "worker-1", "callback", "api"}


def names(items: list[programs.Program]) -> list[str]:
    return [item.name for item in items]


def test_one_process_per_service_and_worker(settings: Load) -> None:
    items = programs.programs(settings(WORKERS="2"), PYTHON)
    assert names(items) == [
        "temporal",
        "mock-comfyui",
        "mock-kling",
        "semaphore",
        "worker-1",
        "worker-2",
        "callback",
        "api",
    ]
    assert items[1].command == (str(PYTHON), "-P", "-m", "services.mock_comfyui")
    assert items[1].env["PYTHONPATH"] == str(items[1].home)
    assert {item.env.get("NO_COLOR") for item in items} == {"1"}


def test_no_server_and_no_mocks_where_others_do_their_work(settings: Load) -> None:
    found = settings(
        MOCKS="off", COMFYUI_URL="http://a", KLING_URL="http://b", TEMPORAL_ADDRESS="t:1"
    )
    items = programs.programs(found, PYTHON)
    assert names(items) == ["semaphore", "worker-1", "callback", "api"]
    assert items[1].env["IMAGE_SERVICE_URL"] == "http://a"


def test_supervisor_reads_it_as_meant_and_sees_no_secret(settings: Load) -> None:
    found = settings(CALLBACK_SECRET="100%-secret,with;marks-of-all-kinds")
    items = programs.programs(found, PYTHON)
    text = programs.supervisor_conf(found, PYTHON, items=items)
    assert "100%" not in text
    conf = configparser.RawConfigParser()
    conf.read_string(text)
    # What it and they write is nobody else's.
    assert conf["supervisord"]["umask"] == "077"
    assert conf["unix_http_server"]["chmod"] == "0700"
    worker = dict(conf["program:worker-1"])
    assert worker["autorestart"] == "true"
    assert worker["command"].endswith(f"worker-1 {items[4].digest}")
    assert f'"{items[4].home}/compose/stack/processes/launch.py"' in worker["command"]
    assert items[4].env["CALLBACK_SECRET"] in programs.as_json(items)


def test_only_what_a_setting_concerns_is_started_again(settings: Load) -> None:
    before = {p.name: p.digest for p in programs.programs(settings(), PYTHON)}
    found = settings(MOCKS="off", COMFYUI_URL="http://a", KLING_URL="http://b")
    after = {p.name: p.digest for p in programs.programs(found, PYTHON)}
    assert before["temporal"] == after["temporal"]
    assert before["semaphore"] == after["semaphore"]
    assert before["callback"] == after["callback"]
    assert before["worker-1"] != after["worker-1"]


def test_more_workers_leave_the_first_alone(settings: Load) -> None:
    one = programs.programs(settings(), PYTHON)
    two = programs.programs(settings(WORKERS="2"), PYTHON)
    began_anew = {p.name for p in one} - {
        p.name for p in two if p.digest in {q.digest for q in one}
    }
    # Its page says how many there are to be.
    assert began_anew == {"api"}


def test_a_socket_whose_path_is_too_long_lies_in_a_private_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    assert programs.socket_path(Path("/data/run")) == Path("/data/run/supervisor.sock")
    long = programs.socket_path(tmp_path / ("x" * 100))
    assert len(str(long)) < 108
    assert long != programs.socket_path(tmp_path / ("y" * 100))
    assert long.parent.parent == tmp_path
    assert stat.S_IMODE(long.parent.stat().st_mode) == 0o700


def test_scripts_that_are_run_can_be_run() -> None:
    folder = Path(programs.__file__).parents[2]
    for script in ("stack.sh", "temporal.sh", "health.sh", "base-image.sh"):
        assert (folder / script).stat().st_mode & stat.S_IXUSR, script


@pytest.mark.parametrize(
    ("changed", "again"),
    [
        ("shared/jobs/ids.py", {"semaphore", "worker-1", "callback", "api"}),
        ("shared/http/guard.py", ALL - {"temporal"}),
        ("services/mock_core/clock.py", {"mock-comfyui", "mock-kling"}),
        ("services/mock_kling/app.py", {"mock-kling"}),
        ("services/worker/vendors/kling.py", {"worker-1"}),
        ("compose/temporal.args", {"temporal"}),
        ("compose/ui_proxy.py", {"temporal"}),
        ("services/__init__.py", ALL - {"temporal"}),
        ("compose/stack/processes/launch.py", ALL),
        ("compose/stack/modes/stack.py", set()),
        ("loadtest/cli.py", set()),
        ("shared/__pycache__/ids.pyc", set()),
    ],
)
def test_code_that_changed_is_started_again(
    root: Path, settings: Load, changed: str, again: set[str]
) -> None:
    before = {p.name: p.digest for p in programs.programs(settings(), PYTHON)}
    (root / changed).parent.mkdir(parents=True)
    (root / changed).write_text("changed")
    after = {p.name: p.digest for p in programs.programs(settings(), PYTHON)}
    assert {name for name in before if before[name] != after[name]} == again
