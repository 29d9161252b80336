"""The settings of each service in both modes, checked by the services' own models."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from compose.stack.environment import (
    STAND_IN,
    callback_secret,
    environment_of,
    for_compose,
    keep_secrets,
    patience,
    service_mistakes,
    stack_name,
)
from compose.stack.given import raise_wrong
from compose.stack.output import USAGE, StackError
from compose.stack.services import ALL, LOADTEST, NAMES, WORKER
from compose.stack.settings import STACK_NAME, Settings
from services.mock_core.settings import MockSettings
from services.mock_kling.settings import DEFAULT_API_KEY
from shared.jobs.tokens import operator_key
from shared.settings.common import Seconds
from tests.compose.stack.conftest import ROOT, Load

KEY = "A" * 43 + "="
TOKEN = "t" * 16
NAMES_OF = {"image": "comfyui", "video": "kling"}
REAL = {"MOCKS": "off", "COMFYUI_URL": "http://c.example", "KLING_URL": "http://k.example"}
SERVICES = {service.name: service for service in (*ALL, LOADTEST)}
both_modes = pytest.mark.parametrize("containers", [False, True], ids=["processes", "containers"])
Given = dict[str, str]
ELSEWHERE = "temporal.example:7233"
TEMPORAL_ELSEWHERE = {"TEMPORAL_ADDRESS": ELSEWHERE}
GATEWAY = "http://host.docker.internal"
# What is set, a service, and what it gets as a process and in a container.
CASES: list[tuple[Given, str, Mapping[str, tuple[str | None, str | None]]]] = [
    (
        {"COMFYUI_PORT": "9001", "API_PORT": "9002", "COMFYUI_WORKFLOW": __file__},
        "worker",
        {
            "IMAGE_SERVICE_URL": ("http://127.0.0.1:9001", "http://mock-comfyui:6889"),
            "VIDEO_SERVICE_URL": ("http://127.0.0.1:16882", "http://mock-kling:16882"),
            "TEMPORAL_ADDRESS": ("127.0.0.1:7233", "temporal:7233"),
            "CALLBACK_URL": ("http://127.0.0.1:8001", "http://callback:8001"),
            "API_PUBLIC_URL": ("http://127.0.0.1:9002", "http://127.0.0.1:9002"),
            "COMFYUI_WORKFLOW": (__file__, "/comfyui/workflow.json"),
            "LISTEN_HOST": ("127.0.0.1", "0.0.0.0"),
        },
    ),
    (
        {"COMFYUI_PORT": "9001", "MOCK_SPEED": "7"},
        "mock-comfyui",
        {"COMFYUI_PORT": ("9001", None), "MOCK_SPEED": ("7", "7")},
    ),
    (
        {"CALLBACK_BIND_ADDRESS": "10.1.2.3", "CALLBACK_URL": "https://public.example"},
        "api",
        {
            "CALLBACK_SERVICE_URL": ("http://10.1.2.3:8001", "http://callback:8001"),
            "MOCK_COMFYUI_URL": ("http://127.0.0.1:6889", "http://mock-comfyui:6889"),
            "API_PORT": ("8000", None),
        },
    ),
    # The load test sees the stack from outside.
    (
        {"CALLBACK_URL": "https://public.example", "CALLBACK_SECRET": KEY},
        "loadtest",
        {
            "CALLBACK_URL": ("http://127.0.0.1:8001", "http://callback:8001"),
            "API_URL": ("http://127.0.0.1:8000", "http://api:8000"),
            "CALLBACK_SECRET": (None, None),
        },
    ),
    # The workers may reach the mocks by another way, and real vendors by a proxy.
    (
        {"IMAGE_SERVICE_URL": "http://127.0.0.1:7001", "VENDOR_PROXY": "http://a:b@127.0.0.1:1"},
        "worker",
        {
            "IMAGE_SERVICE_URL": ("http://127.0.0.1:7001", f"{GATEWAY}:7001"),
            "VENDOR_PROXY": ("http://a:b@127.0.0.1:1", "http://a:b@host.docker.internal:1"),
        },
    ),
    # This machine has another name inside a container, and a real vendor calls from outside.
    *(
        (
            REAL | {"COMFYUI_URL": url},
            "worker",
            {
                "IMAGE_SERVICE_URL": (url, inside),
                "VIDEO_SERVICE_URL": ("http://k.example", "http://k.example"),
                "CALLBACK_URL": ("http://127.0.0.1:8001", "http://127.0.0.1:8001"),
            },
        )
        for url, inside in (
            ("http://127.0.0.1:9001", f"{GATEWAY}:9001"),
            ("http://localhost/x", f"{GATEWAY}/x"),
            ("http://[::1]:9001", f"{GATEWAY}:9001"),
            ("http://localhost.example:1", "http://localhost.example:1"),
            ("http://10.127.0.0.1", "http://10.127.0.0.1"),
        )
    ),
    (TEMPORAL_ELSEWHERE, "worker", {"TEMPORAL_ADDRESS": (ELSEWHERE, ELSEWHERE)}),
    # The names and addresses by which a container is asked.
    (
        {"API_BIND_ADDRESS": "10.1.2.3", "CALLBACK_BIND_ADDRESS": "::", "ALLOWED_HOSTS": "a,b"},
        "api",
        {"ALLOWED_HOSTS": ("a,b", "api,a,b,10.1.2.3,::1")},
    ),
    (
        {"ALLOWED_HOSTS": "a,b"},
        "mock-kling",
        {"ALLOWED_HOSTS": ("a,b", "mock-kling,host.docker.internal,a,b,127.0.0.1")},
    ),
    # Whom the video mock may call.
    (
        {"MOCK_PICTURE_HOSTS": "cdn.example,nas:1", "CALLBACK_PORT": "9001"},
        "mock-kling",
        {
            "MOCK_CALLBACK_HOSTS": ("127.0.0.1:9001", "callback:8001"),
            "MOCK_PICTURE_HOSTS": (
                "cdn.example,nas:1,127.0.0.1:6889,127.0.0.1:8000",
                "cdn.example,nas:1,mock-comfyui:6889,api:8000",
            ),
        },
    ),
    (
        {"CALLBACK_URL": "https://user@hooks.example/in", "MOCK_CALLBACK_HOSTS": "other:1"}
        | {"IMAGE_SERVICE_URL": "http://127.0.0.1:7000"},
        "mock-kling",
        {
            "MOCK_CALLBACK_HOSTS": ("other:1,hooks.example", "other:1,hooks.example"),
            "MOCK_PICTURE_HOSTS": (
                "127.0.0.1:7000,127.0.0.1:8000",
                "host.docker.internal:7000,api:8000",
            ),
        },
    ),
]


@pytest.mark.parametrize(("given", "service", "told"), CASES)
def test_service_gets_the_addresses_of_the_others(
    settings: Load, given: Given, service: str, told: Mapping[str, tuple[str | None, str | None]]
) -> None:
    for place, containers in enumerate((False, True)):
        env = environment_of(settings(**given), SERVICES[service], containers=containers)
        for name, values in told.items():
            assert env.get(name) == values[place], name


@both_modes
def test_service_gets_all_required_and_only_known_settings(
    settings: Load, containers: bool
) -> None:
    found = settings(WORKERS="2", MODE="local", TEMPORAL_ADDRESS="t:1", TEMPORAL_TLS="true")
    for service in (each for each in SERVICES.values() if each.model):
        fields = service.settings().model_fields
        env = environment_of(found, service, containers=containers).keys()
        assert {name.upper() for name, field in fields.items() if field.is_required()} <= env
        other = env - {name.upper() for name in fields}
        assert all(name.startswith("TEMPORAL_") for name in other), service.name
        assert bool(other) == service.client or service is LOADTEST


@both_modes
@pytest.mark.parametrize(
    ("speed", "image", "drain"), [("1", "300", "3600"), ("10", "30", "360"), ("100", "15", "36")]
)
def test_workers_limits_follow_the_mocks_clock(
    settings: Load, speed: str, image: str, drain: str, *, containers: bool
) -> None:
    env = environment_of(settings(MOCK_SPEED=speed), WORKER, containers=containers)
    assert (env["IMAGE_ATTEMPT_SECONDS"], env["DRAIN_SECONDS"]) == (image, drain)
    assert patience(settings(MOCK_SPEED=speed)).items() <= env.items()


def test_given_deadlines_and_those_of_real_services_are_unchanged(settings: Load) -> None:
    assert environment_of(settings(DRAIN_SECONDS="7"), WORKER)["DRAIN_SECONDS"] == "7"
    assert "DRAIN_SECONDS" not in environment_of(settings(**REAL), WORKER)


@pytest.mark.parametrize("speed", ["0.001", "1e-308", "nan", "x"])
def test_speed_refused_by_the_mocks_is_the_only_mistake(settings: Load, speed: str) -> None:
    assert patience(settings(MOCK_SPEED=speed)) == {}
    with pytest.raises(ValidationError, match="mock_speed"):
        MockSettings.model_validate({"mock_speed": speed})
    for seconds in patience(settings(MOCK_SPEED="0.01")).values():
        TypeAdapter(Seconds).validate_python(seconds)


OWN = {"VIDEO_API": "kling", "KLING_API_KEY": "my-own"}


@both_modes
@pytest.mark.parametrize("mock", ["image", "video"])
def test_real_vendor_beside_a_mock_has_its_own_address_keys_and_deadlines(
    settings: Load, mock: str, *, containers: bool
) -> None:
    given = {**OWN, "MOCK_SPEED": "10", **REAL}
    found = settings(**given | {"MOCKS": mock})
    env = environment_of(found, WORKER, containers=containers)
    mocked = environment_of(settings(**given | {"MOCKS": "on"}), WORKER, containers=containers)
    real = environment_of(settings(**given), WORKER, containers=containers)

    def of(side: str, source: Mapping[str, str]) -> dict[str, str]:
        named = (side, "KLING_") if side == "VIDEO" else (side,)
        return {name: value for name, value in source.items() if name.startswith(named)}

    for side in ("IMAGE", "VIDEO"):
        assert of(side, env) == of(side, mocked if side == mock.upper() else real)
    assert "DRAIN_SECONDS" not in env
    assert who_is_told(found, "MOCKS", containers=containers) == {"api": mock, "loadtest": mock}
    assert [each.name for each in found.parts if each.mock] == [f"mock-{NAMES_OF[mock]}"]
    # The mock gets its own keys only; a vendor gets the user's.
    assert {name: mocked[name] for name in STAND_IN} == STAND_IN
    assert {name: real[name] for name in OWN} == OWN
    assert "KLING_SECRET_KEY" not in real
    assert not STAND_IN.keys() & environment_of(settings(), WORKER, containers=containers).keys()


def test_stand_in_key_is_the_one_the_mock_accepts() -> None:
    assert STAND_IN["KLING_API_KEY"] == DEFAULT_API_KEY


def who_is_told(found: Settings, name: str, *, containers: bool) -> dict[str, str]:
    return {
        service: env[name]
        for service in SERVICES
        if name in (env := environment_of(found, SERVICES[service], containers=containers))
    }


@both_modes
@pytest.mark.parametrize(
    ("given", "name", "told"),
    [
        # The receiver is guarded where others can reach it.
        ({}, "CALLBACK_GUARDED", {"callback": "off"}),
        ({"CALLBACK_URL": "http://localhost:8001"}, "CALLBACK_GUARDED", {"callback": "off"}),
        (
            {"BIND_ADDRESS": "::1", "CALLBACK_URL": "http://[::1]:8001/"},
            "CALLBACK_GUARDED",
            {"callback": "off"},
        ),
        ({"API_BIND_ADDRESS": "192.168.1.5"}, "CALLBACK_GUARDED", {"callback": "off"}),
        ({"CALLBACK_URL": "https://hooks.example"}, "CALLBACK_GUARDED", {"callback": "on"}),
        ({"BIND_ADDRESS": "0.0.0.0"}, "CALLBACK_GUARDED", {"callback": "on"}),
        ({"CALLBACK_BIND_ADDRESS": "192.168.1.5"}, "CALLBACK_GUARDED", {"callback": "on"}),
        # The API knows how far its port is open: as far as a proxy in front of it.
        ({}, "API_EXPOSED", {"api": "false"}),
        ({"CALLBACK_BIND_ADDRESS": "0.0.0.0"}, "API_EXPOSED", {"api": "false"}),
        ({"API_BIND_ADDRESS": "::1"}, "API_EXPOSED", {"api": "false"}),
        ({"API_PUBLIC_URL": "http://localhost:8000"}, "API_EXPOSED", {"api": "false"}),
        ({"API_BIND_ADDRESS": "10.1.2.3"}, "API_EXPOSED", {"api": "true"}),
        ({"BIND_ADDRESS": "::"}, "API_EXPOSED", {"api": "true"}),
        ({"API_PUBLIC_URL": "https://video.example"}, "API_EXPOSED", {"api": "true"}),
        # With a key, only the Temporal UI gets the address that decrypts.
        ({}, "UI_CODEC_ENDPOINT", {}),
        (
            {"PAYLOAD_KEY": KEY, "API_PORT": "9000"},
            "UI_CODEC_ENDPOINT",
            {"temporal": "http://127.0.0.1:9000/codec"},
        ),
        (
            {"PAYLOAD_KEY": KEY, "API_PUBLIC_URL": "https://api.example/", "API_TOKEN": TOKEN},
            "UI_CODEC_ENDPOINT",
            {"temporal": "https://api.example/codec"},
        ),
        (OWN | REAL, "KLING_API_KEY", {"worker": "my-own"}),
        (REAL | {"VIDEO_API_OPTIONS": "{}"}, "VIDEO_API_OPTIONS", {"worker": "{}"}),
        ({"VENDOR_PROXY": "http://proxy:1"}, "VENDOR_PROXY", {"worker": "http://proxy:1"}),
    ],
)
def test_settings_of_some_services_only(
    settings: Load, given: Given, name: str, *, told: Given, containers: bool
) -> None:
    assert who_is_told(settings(**given), name, containers=containers) == told


SECRETS = {
    "STACK": ["semaphore"],
    "CALLBACK_SECRET": ["worker", "callback"],
    "OPERATOR_KEY": ["api", "loadtest"],
    "PAYLOAD_KEY": ["semaphore", "worker", "callback", "api", "loadtest"],
    "TEMPORAL_API_KEY": ["semaphore", "worker", "callback", "api", "loadtest"],
    "API_TOKEN": ["api", "loadtest"],
}


@both_modes
@pytest.mark.parametrize("name", SECRETS)
def test_secret_reaches_only_the_services_that_need_it(
    settings: Load, name: str, *, containers: bool
) -> None:
    given = {"TEMPORAL_ADDRESS": "t:1"} | (
        {} if name in ("STACK", "CALLBACK_SECRET", "OPERATOR_KEY") else {name: KEY}
    )
    found = settings(**given)
    seen = who_is_told(found, name, containers=containers)
    assert [*seen] == SECRETS[name]
    [value] = set(seen.values())
    assert seen.keys() == {
        service
        for service in SERVICES
        if value in environment_of(found, SERVICES[service], containers=containers).values()
    }
    assert value not in for_compose(found).values()


def test_certificates_go_into_containers_by_value(settings: Load, tmp_path: Path) -> None:
    pem = tmp_path / "ca.pem"
    pem.write_text("-----BEGIN-----\nx\n")
    found = settings(TEMPORAL_ADDRESS="t:1", TEMPORAL_TLS_SERVER_CA_CERT_PATH=str(pem))
    env = environment_of(found, WORKER, containers=True)
    assert env["TEMPORAL_TLS_SERVER_CA_CERT_DATA"] == "-----BEGIN-----\nx\n"
    assert "TEMPORAL_TLS_SERVER_CA_CERT_PATH" not in env


@pytest.mark.parametrize("given", [{}, {"LISTEN_HOST": "0.0.0.0"}, {"BIND_ADDRESS": "0.0.0.0"}])
def test_process_listens_where_its_port_is_open(settings: Load, given: Given) -> None:
    listens = {
        name: environment_of(settings(**given), SERVICES[name])["LISTEN_HOST"] for name in NAMES
    }
    opened = given.get("BIND_ADDRESS", "127.0.0.1")
    assert {listens.pop("api"), listens.pop("callback")} == {opened}
    assert set(listens.values()) == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({}, "COMPOSE_PROFILES", "server"),
        (TEMPORAL_ELSEWHERE, "COMPOSE_PROFILES", ""),
        # The API may remove results only where it is to.
        ({}, "API_KEEPS_RESULTS", "true"),
        ({"RETENTION_DAYS": "30"}, "API_KEEPS_RESULTS", "false"),
        ({"API_BIND_ADDRESS": "10.1.2.3"}, "API_BIND_ADDRESS", "10.1.2.3"),
        ({"CALLBACK_BIND_ADDRESS": "::"}, "CALLBACK_BIND_ADDRESS", "[::]"),
    ],
)
def test_variables_of_the_compose_files(
    settings: Load, given: Given, name: str, value: str
) -> None:
    assert for_compose(settings(**given))[name] == value


@pytest.mark.parametrize("damaged", [None, "", "No Name\n"])
def test_stack_name_is_made_once_and_kept(settings: Load, root: Path, damaged: str | None) -> None:
    if damaged is not None:
        (root / "data/secrets").mkdir(parents=True)
        (root / "data/secrets/stack").write_text(damaged)
    name = stack_name(settings())
    assert re.fullmatch(STACK_NAME, name)
    assert stack_name(settings()) == name
    assert not (root / "data/run").exists()
    (root / "data/secrets/stack").unlink()
    assert stack_name(settings()) != name


def test_secret_that_was_cut_is_made_again(settings: Load, root: Path) -> None:
    (root / "data/secrets").mkdir(parents=True)
    (root / "data/secrets/callback_secret").write_text("")
    made = callback_secret(settings())
    assert len(made) >= 32
    assert callback_secret(settings()) == made


def test_given_name_and_secret_are_used_and_not_written(settings: Load, root: Path) -> None:
    found = settings(STACK="mine", CALLBACK_SECRET="x" * 40)
    assert (stack_name(found), callback_secret(found)) == ("mine", "x" * 40)
    assert not (root / "data").exists()


@pytest.mark.parametrize("given", [{}, {"CALLBACK_SECRET": f"{'x' * 32},{'y' * 32}"}])
def test_operators_key_is_readable_only_by_its_owner(settings: Load, given: Given) -> None:
    found = settings(**given)
    keep_secrets(found)
    folder = found.data_dir / "secrets"
    assert (folder / "operator_key").read_text() == operator_key(callback_secret(found))
    assert len(callback_secret(found)) >= 32
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


def wrong(settings: Settings) -> str:
    with pytest.raises(StackError) as caught:
        raise_wrong(service_mistakes(settings))
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.status == USAGE
    return line


WRONG = {
    # Settings that nobody but their service has ever looked at.
    "API_ORIGINS": "nonsense",
    "GATES": "foo",
    "VIDEO_POLL_SECONDS": "abc",
    "DRAIN_SECONDS": "0",
    "SEMAPHORE_CAPACITY": "-1",
    "MOCK_IMAGE_SECONDS": "long",
    "MOCK_VIDEO_SECONDS": "-1",
    "MOCK_CALLBACK_HOSTS": "http://receiver:8001",
    "MOCK_PICTURE_HOSTS": "pictures:x",
    # Settings of several.
    "LOG_LEVEL": "LOUD",
    "LOG_FORMAT": "xml",
    "MOCK_SPEED": "fast",
    "STALL_SECONDS": "0",
    "PAYLOAD_KEY": "A" * 43 + "=,short",
    "CALLBACK_SECRET": "x" * 31,
    "API_PUBLIC_URL": "http://[x",
    # The rest.
    "API_TOKEN": "short",
    "API_MAX_SOCKETS": "many",
    "RETENTION_DAYS": "0",
    "CALLBACK_URL": "http://a]",
    "TEMPORAL_UI_URL": "nowhere",
    "IMAGE_SERVICE_URL": "ftp://x",
    "RESULT_HOSTS": "*.com,https://cdn.example",
    "VENDOR_PROXY": "socks5://us:a-password@proxy:1080",
}
HIDDEN = ("PAYLOAD_KEY", "CALLBACK_SECRET", "API_TOKEN", "VENDOR_PROXY")


def test_every_mistake_of_a_model_is_reported_once_with_its_origin(
    settings: Load, root: Path
) -> None:
    (root / ".env").write_text("SEMAPHORE_CAPACITY=-1\n")
    given = {name: value for name, value in WRONG.items() if name != "SEMAPHORE_CAPACITY"}
    line = wrong(settings(**given))
    said = [part.split("=")[0] for part in line.removeprefix("wrong settings: ").split("; ")]
    assert [name for name in said if name.isupper()] == sorted(WRONG)
    assert "Value error" not in line
    assert "GATES=foo (environment) is refused: no such gate: foo" in line
    assert "SEMAPHORE_CAPACITY=-1 (.env) is refused: " in line
    assert "API_TOKEN=… (environment) is refused: it needs 16 or more visible" in line
    for name in HIDDEN:
        assert WRONG[name] not in line
        assert f"{name}=… (environment)" in line


@pytest.mark.parametrize(
    "right",
    [
        {},
        {"MOCK_SPEED": "0.5", "API_MAX_SOCKETS": "1", "GATES": "image,video", "API_ORIGINS": "*"},
        {"MOCK_SPEED": "100000", "PAYLOAD_KEY": KEY, "CALLBACK_SECRET": f"{'x' * 32},{'y' * 32}"},
        {"TEMPORAL_TLS": "false", "TEMPORAL_NAMESPACE": "mine"},
        REAL | {"MOCK_VIDEO_SECONDS": "-1"},
        {"BIND_ADDRESS": "0.0.0.0", "API_TOKEN": TOKEN},
        {"BIND_ADDRESS": "0.0.0.0", "API_BIND_ADDRESS": "127.0.0.2"},
        {"CALLBACK_BIND_ADDRESS": "0.0.0.0"},
        {"API_PUBLIC_URL": "https://video.example", "API_TOKEN": TOKEN},
    ],
)
def test_right_or_unused_settings_pass_and_nothing_is_made(
    settings: Load, root: Path, monkeypatch: pytest.MonkeyPatch, right: Given
) -> None:
    """A variable of this shell that no service reads is no mistake."""
    monkeypatch.setenv("OPERATOR_KEY", "")
    monkeypatch.setenv("API_MAX_SOCKETS", "x")
    assert service_mistakes(settings(**right)) == []
    assert os.environ["API_MAX_SOCKETS"] == "x"
    assert not (root / "data").exists()


@pytest.mark.parametrize(
    ("together", "said"),
    [
        ({"VIDEO_API": "kling"}, "VIDEO_API=kling needs either KLING_API_KEY, or"),
        (
            {"VIDEO_API": "kling", "KLING_API_KEY": "k", "KLING_DURATION": "7"},
            "KLING_DURATION=7: kling-v2-6 makes 5 or 10 seconds",
        ),
        ({"IMAGE_API": "comfyui"}, "COMFYUI_WORKFLOW: IMAGE_API=comfyui needs the file"),
        ({"STORE_KEY": "k"}, "STORE_URL=file: does not use STORE_KEY"),
    ],
)
def test_mistake_about_several_settings_is_reported_once(
    settings: Load, together: Given, said: str
) -> None:
    line = wrong(settings(**REAL, **together, API_MAX_SOCKETS="x"))
    assert line.count(said) == 1
    assert "API_MAX_SOCKETS=x (environment) is refused" in line


@pytest.mark.parametrize(
    "environ",
    [
        {"BIND_ADDRESS": "0.0.0.0"},
        {"BIND_ADDRESS": "127.0.0.1", "API_BIND_ADDRESS": "::"},
        {"API_BIND_ADDRESS": "10.1.2.3", "API_TOKEN": ""},
        {"API_PUBLIC_URL": "https://video.example"},
        {"API_PUBLIC_URL": "http://10.1.2.3:8000"},
    ],
)
def test_api_without_a_token_stays_on_loopback(settings: Load, environ: Given) -> None:
    """Also behind a proxy: on loopback everybody may read, and the proxy would hand that on."""
    line = wrong(settings(**environ))
    assert line.startswith("wrong settings: API_TOKEN= (default) is refused: is needed if")
    for way in ("API_BIND_ADDRESS", "API_PUBLIC_URL", "CALLBACK_BIND_ADDRESS"):
        assert way in line


def test_unreachable_store_is_reported(settings: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "not ours to use")
    away = {"STORE_URL": "s3://bucket", "STORE_ENDPOINT": "http://127.0.0.1:1"}
    line = wrong(settings(**away, STORE_KEY="k", STORE_SECRET="hunter2"))
    assert line.startswith("wrong settings: STORE_URL=s3://bucket (environment) is refused: ")
    assert "hunter2" not in line


def test_commands_import_only_the_settings_of_the_services() -> None:
    """Every `make up` reads all of them: what is heavy is imported by the service that starts."""
    each = "[each.settings() for each in (*services.ALL, services.LOADTEST) if each.model]"
    code = f"import sys; from compose.stack import cli, services; {each}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    known = set(done.stdout.split())
    assert "services.worker.settings.worker" in known
    heavy = {"fastapi", "starlette", "httpx", "structlog", "temporalio", "av", "PIL"}
    assert not known & (heavy | {"cryptography"})
