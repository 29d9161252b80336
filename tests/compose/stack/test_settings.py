"""Who counts before whom, and every mistake named at once."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from compose.stack import machine, modes
from compose.stack.environment import environment_of
from compose.stack.given import Saved, refused
from compose.stack.output import USAGE, StackError
from compose.stack.services import ALL, DEFAULT_PORTS, LOADTEST, NAMES, WORKER
from compose.stack.settings import Mode, load, load_for_down, read
from tests.compose.stack.conftest import Load

ELSEWHERE = {
    "TEMPORAL_ADDRESS": "temporal.example:7233",
    "CALLBACK_SECRET": "a-secret-of-32-characters-or-more",
    "STACK": "ours",
}


def test_environment_overrides_the_saved_settings_and_the_file(root: Path) -> None:
    (root / ".env").write_text("WORKERS=2\nAPI_PORT=8100\nKLING_PORT=8200\n")
    Saved(mode="local", overrides={"WORKERS": "3", "API_PORT": "8101"}).write(root / "data/run")
    # An empty value counts as not set.
    found = load(root, {"WORKERS": "4", "KLING_PORT": ""})
    assert (found.workers, found.ports["API_PORT"], found.ports["KLING_PORT"]) == (4, 8101, 8200)
    assert found.running == "local"
    assert found.overrides == {"WORKERS": "4", "API_PORT": "8101"}


def test_unknown_variables_of_the_environment_are_ignored(settings: Load) -> None:
    assert settings(HOME="/root", TEMPORAL_GRPC_META_X="1").values == {"TEMPORAL_GRPC_META_X": "1"}


def test_unknown_name_in_the_file_is_reported(root: Path) -> None:
    (root / ".env").write_text("WORKRES=2\nTEMPORAL_ADDRESS=a:1\nTEMPORAL_TLS_SERVER_NAME=x\n")
    assert load(root, {}).unknown == ("WORKRES",)


def test_every_mistake_is_reported_at_once_with_its_origin(root: Path) -> None:
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
        "MOCKS=maybe (environment) is not one of: on, off, image, video",
        "STACK=My (environment)",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"WORKERS": "0"}, "WORKERS=0"),
        ({"WORKERS": "٣"}, "WORKERS=٣"),
        ({"WORKERS": "1_0"}, "WORKERS=1_0"),
        ({"API_PORT": "+80"}, "API_PORT=+80"),
        ({"WORKERS": "9" * 5000}, "9… (environment) is not a whole number from 1 to 64"),
        ({"MODE": "a\n\x1b[31m"}, r"MODE=a\n\x1b[31m (environment) is not one of"),
        ({"DATA_DIR": ".env.example/x"}, "DATA_DIR=.env.example/x (environment) is not a folder"),
        ({"REPORTS_DIR": ".env.example"}, "REPORTS_DIR=.env.example (environment) is not a folder"),
        (
            {"DATA_DIR": "/a%b"},
            "DATA_DIR=/a%b (environment) can't be used: /a%b has one of \" % : ; #",
        ),
        ({"REPORTS_DIR": "/a ;b"}, "can't be used: /a ;b has one of"),
        ({"DATA_DIR": "/a$b"}, "can't be used: /a$b has one of"),
        ({"COMFYUI_WORKFLOW": "."}, "is not a file that can be read"),
        ({"API_PORT": "8001"}, "is also the port of"),
        ({"WORKER_HTTP_PORT": "65535", "WORKERS": "2"}, "is not a whole number from 1 to 65534"),
        ({"BIND_ADDRESS": "everywhere"}, "is not an IP address"),
        ({"API_BIND_ADDRESS": "x"}, "API_BIND_ADDRESS=x (environment) is not an IP address"),
        ({"CALLBACK_BIND_ADDRESS": "::z"}, "CALLBACK_BIND_ADDRESS=::z (environment)"),
        ({"COMPOSE_PROJECT_NAME": "My Project"}, "is not a project name"),
        ({"TEMPORAL_ADDRESS": "somewhere"}, "is not host:port"),
        ({"COMFYUI_WORKFLOW": "nowhere.json"}, "nowhere.json (environment) is not a file that can"),
        (
            {"TEMPORAL_API_KEY": "a-key"},
            "TEMPORAL_API_KEY=… (environment) is only for another server",
        ),
        ({"TEMPORAL_TLS": "true"}, "TEMPORAL_TLS=true (environment) is only for another server"),
        (
            {"TEMPORAL_ADDRESS": "a:1", "TEMPORAL_TLS": "off"},
            "TEMPORAL_TLS=off (environment) is not one of: true, false, 1, 0",
        ),
        (
            {"TEMPORAL_ADDRESS": "a:1", "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION": "true"},
            "is not supported: set the certificate's name in …_SERVER_NAME",
        ),
        ({"STACK": "My Stack"}, "STACK=My Stack (environment) is not 1 to 40 characters"),
        ({"MOCKS": "off"}, "MOCKS=off needs COMFYUI_URL, which is not set"),
        ({"MOCKS": "video"}, "MOCKS=video needs COMFYUI_URL, which is not set"),
        ({"MOCKS": "image"}, "MOCKS=image needs KLING_URL, which is not set"),
        ({"MOCKS": "off", "COMFYUI_URL": "a", "KLING_URL": "http://b"}, "COMFYUI_URL=a"),
        ({"TEMPORAL_ADDRESS": "t:0"}, "TEMPORAL_ADDRESS=t:0 (environment) is not host:port"),
        ({"COMFYUI_URL": "http://[a"}, "COMFYUI_URL=http://[a (environment) is not an http(s)"),
        ({"ROLES": "worker,api2"}, "names api2; known are temporal, mock-comfyui, mock-kling"),
        ({"ROLES": "worker"}, "needs TEMPORAL_ADDRESS unless temporal is one of them"),
        (ELSEWHERE | {"ROLES": "temporal"}, "names temporal, which is elsewhere according to the"),
        ({"KLING_URL": "http://a:99999"}, "KLING_URL=http://a:99999 (environment) is not an http"),
        (
            {"MOCKS": "off", "COMFYUI_URL": "http://a?token=x", "KLING_URL": "http://b#c"},
            "settings: COMFYUI_URL (environment) has a query or a fragment: routes are appended to"
            " it; KLING_URL (environment) has",
        ),
    ],
)
def test_wrong_values(settings: Load, environ: dict[str, str], said: str) -> None:
    with pytest.raises(StackError) as caught:
        settings(**environ)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_project_in_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    root = tmp_path / "a$b"
    root.mkdir()
    (root / ".env.example").touch()
    with pytest.raises(StackError) as caught:
        load(root, {})
    for name in ("data", "reports"):
        assert f"={name} (default) can't be used: {root}/{name} has one of" in str(caught.value)


@pytest.mark.parametrize("broken", [Path.touch, lambda path: path.symlink_to("nowhere")])
def test_default_folder_that_is_none_is_named(
    root: Path, settings: Load, broken: Callable[[Path], None]
) -> None:
    for name in ("data", "reports"):
        broken(root / name)
    with pytest.raises(StackError) as caught:
        settings()
    for said in ("DATA_DIR=data (default) is not a folder", "REPORTS_DIR=reports (default) is not"):
        assert said in str(caught.value)


def test_workflow_path_is_relative_to_the_root(root: Path) -> None:
    (root / "graph.json").touch()
    given = load(root, {"COMFYUI_WORKFLOW": "graph.json"})
    assert given.values["COMFYUI_WORKFLOW"] == str(root / "graph.json")
    assert given.overrides["COMFYUI_WORKFLOW"] == "graph.json"


@pytest.mark.parametrize(
    ("environ", "api", "callback", "reach"),
    [
        ({}, "127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ({"BIND_ADDRESS": "0.0.0.0"}, "0.0.0.0", "0.0.0.0", "127.0.0.1"),
        ({"BIND_ADDRESS": "::"}, "::", "::", "[::1]"),
        (
            {"BIND_ADDRESS": "10.0.0.1", "CALLBACK_BIND_ADDRESS": "127.0.0.1"},
            "10.0.0.1",
            "127.0.0.1",
            "10.0.0.1",
        ),
        ({"CALLBACK_BIND_ADDRESS": "::"}, "127.0.0.1", "::", "127.0.0.1"),
    ],
)
def test_only_two_services_can_be_opened(
    settings: Load, environ: dict[str, str], *, api: str, callback: str, reach: str
) -> None:
    found = settings(**environ, LISTEN_HOST="0.0.0.0")
    binds = dict(found.binds)
    assert (binds.pop("API_PORT"), binds.pop("CALLBACK_PORT")) == (api, callback)
    assert set(binds) == set(DEFAULT_PORTS) - {"API_PORT", "CALLBACK_PORT"}
    assert set(binds.values()) == {"127.0.0.1"}
    assert found.url("API_PORT") == f"http://{reach}:8000"


def test_saved_settings_are_private_and_a_damaged_file_counts_as_none(root: Path) -> None:
    run_dir = root / "data/run"
    Saved(mode="local", overrides={"WORKERS": "3"}).write(run_dir)
    assert (run_dir / "stack.json").stat().st_mode & 0o077 == 0
    assert load(root, {}).workers == 3
    (run_dir / "stack.json").write_text('{"mode": "lo')
    assert load(root, {}).running == ""


def test_saved_settings_that_cannot_be_read_are_not_none(root: Path) -> None:
    """As for another user than the one that started the stack."""
    saved = root / "data/run/stack.json"
    saved.parent.mkdir(parents=True)
    saved.symlink_to(saved)
    with pytest.raises(OSError, match=r"stack\.json"):
        load(root, {})


def test_stack_can_be_stopped_with_any_other_mistake(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / ".env").write_text("nonsense\nDATA_DIR=there\nWORKERS=x\nMOCKS=off\n")
    past = {"COMPOSE_PROJECT_NAME": "mine", "MODE": "x"}
    Saved(mode="local", overrides=past).write(root / "there/run")

    found = load_for_down(root, {"API_PORT": "0"})

    assert (found.running, found.compose_project_name) == ("local", "mine")
    assert found.data_dir == root / "there"
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
def test_stack_that_may_be_another_one_is_not_stopped(root: Path, line: str) -> None:
    (root / ".env").write_text(f"MODE=x\n{line}\n")

    with pytest.raises(StackError, match="MODE=x") as caught:
        load_for_down(root, {})
    assert "wrong settings: " in str(caught.value)
    assert str(caught.value).count("; ") == 1


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("STACK=two", "two"),
        ("  export STACK = two  ", "two"),
        ("STACK=two # 2", "two"),
        ("COMFYUI_PROMPT='{prompt} # {style}'", "{prompt} # {style}"),
        ("# STACK=two", None),
        ("STACK=", None),
    ],
)
def test_common_forms_of_lines_in_the_file(root: Path, line: str, value: str | None) -> None:
    (root / ".env").write_text(f"\n{line}\n")
    assert [*load(root, {}).values.values()] == [value] * (value is not None)


@pytest.mark.parametrize("line", ["STACK", "WORK ERS=1", "1A=2", "A='open", 'A="1"2', "A=1\0"])
def test_wrong_line_is_reported_by_its_number(root: Path, line: str) -> None:
    (root / ".env").write_text(f"STACK=x\n{line}\nWORKERS=2")
    found = read(root, {})
    assert found.mistakes == (".env line 2 is not NAME=value",)
    assert (found.stack, found.workers) == ("x", 2)


def test_byte_order_mark_is_no_part_of_the_first_name(root: Path) -> None:
    (root / ".env").write_bytes(b"\xef\xbb\xbfWORKERS=2\r\nMODE=local\r\n")
    found = load(root, {})
    assert (found.workers, found.mode) == (2, Mode.LOCAL)


def test_file_that_is_no_text_is_reported(root: Path) -> None:
    (root / ".env").symlink_to("nowhere")
    assert read(root, {}).mistakes == (".env can't be read: No such file or directory",)
    (root / ".env").unlink()
    (root / ".env").write_bytes("STACK=café".encode("latin-1"))
    assert read(root, {}).mistakes == (".env is not UTF-8 text",)
    (root / ".env").unlink()
    (root / ".env").mkdir()
    assert read(root, {}).mistakes == (".env can't be read: Is a directory",)


@pytest.mark.parametrize(
    ("roles", "parts"),
    [
        ("worker", ["worker"]),
        ("api, callback", ["callback", "api"]),
        ("mock-kling", ["mock-kling"]),
        ("", [name for name in NAMES if name != "temporal"]),
    ],
)
def test_only_named_roles_run(settings: Load, roles: str, parts: list[str]) -> None:
    found = settings(**ELSEWHERE, ROLES=roles, WORKERS="2")
    assert [part.name for part in found.parts] == parts
    expected = {part: 2 if part == "worker" else 1 for part in parts}
    assert modes.expected(found) == expected
    needed = machine.wanted_ports(found, containers=False, running=[])
    assert len(needed) == sum(expected.values())


@pytest.mark.parametrize(
    ("roles", "needed"),
    [
        ("worker", ["CALLBACK_SECRET", "STACK"]),
        ("callback", ["CALLBACK_SECRET"]),
        ("semaphore", ["STACK"]),
        ("mock-kling", []),
    ],
)
def test_shared_values_of_several_machines_must_be_given(
    settings: Load, roles: str, needed: list[str]
) -> None:
    given = {"TEMPORAL_ADDRESS": "temporal.example:7233", "ROLES": roles}
    said = read(settings().root, given).mistakes
    found = [name for name in ELSEWHERE for each in said if f"needs {name}, the same for" in each]
    assert found == needed


@pytest.mark.parametrize("address", ["127.0.0.1:7300", "localhost:7300", "[::1]:7300"])
def test_shared_values_of_one_machine_are_made_once(settings: Load, address: str) -> None:
    found = settings(TEMPORAL_ADDRESS=address, ROLES="worker")
    assert len(environment_of(found, WORKER)["CALLBACK_SECRET"]) >= 32


SECRETS = {
    name.upper()
    for service in (*ALL, LOADTEST)
    if service.model
    for name, field in service.settings().model_fields.items()
    if SecretStr.__name__ in str(field.annotation)
}


def test_secrets_are_hidden_and_other_settings_shown() -> None:
    assert {"API_TOKEN", "PAYLOAD_KEY", "VENDOR_PROXY", "VIDEO_API_OPTIONS"} <= SECRETS
    for name in (*SECRETS, "API_MAX_SOCKETS"):
        shown = "hunter2" if name == "API_MAX_SOCKETS" else "…"
        said = refused(name, "is wrong", {name: "hunter2"}, {})
        assert said == f"{name}={shown} (default) is wrong"
