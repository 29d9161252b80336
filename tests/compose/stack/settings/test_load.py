"""Settings: who counts before whom, and every mistake named at once."""

from pathlib import Path

import pytest

from compose.stack.errors import USAGE, StackError
from compose.stack.services import DEFAULT_PORTS
from compose.stack.settings import saved
from compose.stack.settings.load import Mode, load, load_for_down
from compose.stack.settings.saved import Saved
from tests.compose.stack.conftest import Load


def test_defaults(settings: Load) -> None:
    found = settings()
    assert found.mode is Mode.AUTO
    assert found.workers == 1
    assert found.mocks
    assert found.own_temporal
    assert found.ports["KLING_PORT"] == 16882
    assert found.values == {}


def test_the_environment_counts_before_what_was_said_before_the_file(root: Path) -> None:
    (root / ".env").write_text("WORKERS=2\nAPI_PORT=8100\nKLING_PORT=8200\n")
    saved.write(root / "data/run", Saved("local", {"WORKERS": "3", "API_PORT": "8101"}))
    found = load(root, {"WORKERS": "4"})
    assert (found.workers, found.ports["API_PORT"], found.ports["KLING_PORT"]) == (4, 8101, 8200)
    assert found.running == "local"
    assert found.overrides == {"WORKERS": "4", "API_PORT": "8101"}


def test_an_empty_value_counts_as_not_set(root: Path) -> None:
    (root / ".env").write_text("WORKERS=2\n")
    assert load(root, {"WORKERS": ""}).workers == 2


def test_what_is_no_setting_of_ours_is_left_alone(settings: Load) -> None:
    assert settings(HOME="/root", TEMPORAL_GRPC_META_X="1").values == {"TEMPORAL_GRPC_META_X": "1"}


def test_a_name_in_the_file_that_nobody_knows_is_told(root: Path) -> None:
    (root / ".env").write_text("WORKRES=2\nTEMPORAL_ADDRESS=a:1\nTEMPORAL_TLS_SERVER_NAME=x\n")
    assert load(root, {}).unknown == ("WORKRES",)


def test_every_mistake_is_named_at_once_with_its_origin(root: Path) -> None:
    (root / ".env").write_text("WORKERS=x\nnonsense\n")
    with pytest.raises(StackError) as caught:
        load(root, {"MODE": "cloud", "API_PORT": "70000", "MOCKS": "maybe", "STACK": "My"})
    said = str(caught.value)
    assert "\n" not in said
    assert caught.value.status == USAGE
    for part in (
        ".env line 2 is not NAME=value",
        "MODE=cloud (environment) is not one of: auto, docker, local",
        "WORKERS=x (.env) is not a whole number from 1 to 64",
        "API_PORT=70000 (environment) is not a whole number from 1 to 65535",
        "MOCKS=maybe (environment) is not one of: on, off",
        "STACK=My (environment)",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"WORKERS": "0"}, "WORKERS=0"),
        ({"WORKERS": "-1"}, "WORKERS=-1"),
        ({"WORKERS": "٣"}, "WORKERS=٣"),
        ({"WORKERS": "9" * 5000}, "9… (environment) is not a whole number from 1 to 64"),
        ({"MODE": "a\n\x1b[31m"}, r"MODE=a\n\x1b[31m (environment) is not one of"),
        ({"DATA_DIR": ".env.example/x"}, "DATA_DIR=.env.example/x (environment) is not a folder"),
        ({"REPORTS_DIR": ".env.example"}, "REPORTS_DIR=.env.example (environment) is not a folder"),
        (
            {"DATA_DIR": "/a%b"},
            "DATA_DIR=/a%b (environment) can't be: /a%b has a sign of \" % : ; #",
        ),
        ({"REPORTS_DIR": "/a ;b"}, "can't be: /a ;b has a sign of"),
        ({"COMFYUI_WORKFLOW": "."}, "is not a file that can be read"),
        ({"API_PORT": "8001"}, "is the port of"),
        ({"WORKER_HTTP_PORT": "65535", "WORKERS": "2"}, "is not a whole number from 1 to 65534"),
        ({"BIND_ADDRESS": "everywhere"}, "is not an IP address"),
        ({"API_BIND_ADDRESS": "x"}, "API_BIND_ADDRESS=x (environment) is not an IP address"),
        ({"CALLBACK_BIND_ADDRESS": "::z"}, "CALLBACK_BIND_ADDRESS=::z (environment)"),
        ({"COMPOSE_PROJECT_NAME": "My Project"}, "is not a project name"),
        ({"TEMPORAL_ADDRESS": "somewhere"}, "is not host:port"),
        ({"TEMPORAL_TLS_CLIENT_KEY_PATH": "/nowhere"}, "is not a file that can be read"),
        ({"COMFYUI_WORKFLOW": "nowhere.json"}, "nowhere.json (environment) is not a file that can"),
        (
            {"TEMPORAL_API_KEY": "a-key"},
            "TEMPORAL_API_KEY=… (environment) is for a server elsewhere",
        ),
        ({"TEMPORAL_TLS": "true"}, "TEMPORAL_TLS=true (environment) is for a server elsewhere"),
        ({"TEMPORAL_TLS_SERVER_NAME": "x"}, "name it with TEMPORAL_ADDRESS"),
        (
            {"TEMPORAL_ADDRESS": "a:1", "TEMPORAL_TLS_CLIENT_CERT_DATA": "x"},
            "TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH need one another",
        ),
        (
            {"TEMPORAL_ADDRESS": "a:1", "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION": "true"},
            "can't be: name what the certificate has in …_SERVER_NAME",
        ),
        ({"STACK": "My Stack"}, "STACK=My Stack (environment) is not 1 to 40 characters"),
        ({"STACK": "x" * 41}, "is not 1 to 40 characters"),
        ({"MOCKS": "off"}, "MOCKS=off needs COMFYUI_URL, which is not set"),
        ({"MOCKS": "off", "COMFYUI_URL": "http://a"}, "needs KLING_URL"),
        ({"MOCKS": "off", "COMFYUI_URL": "a", "KLING_URL": "http://b"}, "COMFYUI_URL=a"),
        (
            {"MOCKS": "off", "COMFYUI_URL": "http://a?token=x", "KLING_URL": "http://b#c"},
            "settings: COMFYUI_URL (environment) has a query or a fragment: routes go behind it;"
            " KLING_URL (environment) has",
        ),
    ],
)
def test_wrong_values(settings: Load, environ: dict[str, str], said: str) -> None:
    with pytest.raises(StackError) as caught:
        settings(**environ)
    assert said in str(caught.value)


def test_no_tls_is_no_mistake_with_a_server_of_our_own(settings: Load) -> None:
    assert settings(TEMPORAL_TLS="false", TEMPORAL_NAMESPACE="mine").own_temporal


def test_the_real_services_can_be_named(settings: Load) -> None:
    given = settings(MOCKS="off", COMFYUI_URL="http://img:1", KLING_URL="https://kling.example/v1")
    assert not given.mocks


def test_a_workflow_is_named_from_the_roots_point_of_view(root: Path) -> None:
    (root / "graph.json").touch()
    given = load(root, {"COMFYUI_WORKFLOW": "graph.json"})
    assert given.values["COMFYUI_WORKFLOW"] == str(root / "graph.json")
    assert given.overrides["COMFYUI_WORKFLOW"] == "graph.json"


@pytest.mark.parametrize(
    ("bind", "reach"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("10.1.2.3", "10.1.2.3"),
    ],
)
def test_where_published_ports_answer(settings: Load, bind: str, reach: str) -> None:
    assert settings(BIND_ADDRESS=bind).url("API_PORT") == f"http://{reach}:8000"


@pytest.mark.parametrize(
    ("environ", "api", "callback"),
    [
        ({}, "127.0.0.1", "127.0.0.1"),
        ({"BIND_ADDRESS": "0.0.0.0"}, "0.0.0.0", "0.0.0.0"),
        ({"BIND_ADDRESS": "10.0.0.1", "API_BIND_ADDRESS": "127.0.0.1"}, "127.0.0.1", "10.0.0.1"),
        ({"CALLBACK_BIND_ADDRESS": "::"}, "127.0.0.1", "::"),
    ],
)
def test_two_services_can_be_opened_and_nothing_else(
    settings: Load, environ: dict[str, str], api: str, *, callback: str
) -> None:
    binds = dict(settings(**environ, LISTEN_HOST="0.0.0.0").binds)
    assert (binds.pop("API_PORT"), binds.pop("CALLBACK_PORT")) == (api, callback)
    assert set(binds) == set(DEFAULT_PORTS) - {"API_PORT", "CALLBACK_PORT"}
    assert set(binds.values()) == {"127.0.0.1"}


def test_what_was_said_is_forgotten_with_the_stack(root: Path) -> None:
    run_dir = root / "data/run"
    saved.write(run_dir, Saved("local", {"WORKERS": "3"}))
    assert (run_dir / "stack.json").stat().st_mode & 0o077 == 0
    saved.forget(run_dir)
    assert load(root, {}).workers == 1


def test_a_damaged_note_is_as_good_as_none(root: Path) -> None:
    (root / "data/run").mkdir(parents=True)
    (root / "data/run/stack.json").write_text('{"mode": "lo')
    assert load(root, {}).running == ""


def test_a_stack_is_stopped_whatever_else_is_wrong(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / ".env").write_text("nonsense\nDATA_DIR=there\nWORKERS=x\nMOCKS=off\n")
    saved.write(root / "there/run", Saved("local", {"COMPOSE_PROJECT_NAME": "mine", "MODE": "x"}))

    found = load_for_down(root, {"API_PORT": "0"})

    assert (found.running, found.project, found.data_dir) == ("local", "mine", root / "there")
    told = capsys.readouterr().err
    for wrong in (
        "line 1",
        "WORKERS=x",
        "MODE=x",
        "API_PORT=0",
        "MOCKS=off needs",
    ):
        assert wrong in told


@pytest.mark.parametrize("line", ["DATA_DIR=.env", "COMPOSE_PROJECT_NAME=A B", "DATA_DIR there"])
def test_no_stack_is_stopped_that_may_be_another_one(root: Path, line: str) -> None:
    (root / ".env").write_text(f"MODE=x\n{line}\n")

    with pytest.raises(StackError, match="MODE=x") as caught:
        load_for_down(root, {})
    assert "wrong settings: " in str(caught.value)
    assert str(caught.value).count("; ") == 1
