"""What each service is told in both modes, and what the services' own models say of it."""

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
    check_services,
    environment_of,
    for_compose,
    keep_secrets,
    patience,
    stack_name,
)
from compose.stack.output import USAGE, StackError
from compose.stack.services import ALL, API, CALLBACK, LOADTEST, NAMES, WORKER
from compose.stack.settings import STACK_NAME, Settings, load
from services.mock_core.settings import MockSettings
from services.mock_kling.settings import KlingSettings, initial_config
from shared.jobs.tokens import operator_key
from shared.settings.common import Seconds
from tests.compose.stack.conftest import ROOT, Load

KEY = "A" * 43 + "="
NAMES_OF = {"image": "comfyui", "video": "kling"}
REAL = {"MOCKS": "off", "COMFYUI_URL": "http://c.example", "KLING_URL": "http://k.example"}
SERVICES = {service.name: service for service in (*ALL, LOADTEST)}
both_modes = pytest.mark.parametrize("containers", [False, True], ids=["processes", "containers"])


def who_is_told(found: Settings, name: str, *, containers: bool) -> dict[str, str]:
    """Each service that gets a variable, with its value."""
    each = {
        service: environment_of(found, SERVICES[service], containers=containers).get(name)
        for service in SERVICES
    }
    return {service: value for service, value in each.items() if value is not None}


def test_a_process_gets_ports_and_addresses_of_this_machine(settings: Load) -> None:
    found = settings(COMFYUI_PORT="9001", MOCK_SPEED="7")
    env = environment_of(found, WORKER)
    assert env["IMAGE_SERVICE_URL"] == "http://127.0.0.1:9001"
    assert env["VIDEO_SERVICE_URL"] == "http://127.0.0.1:16882"
    assert env["TEMPORAL_ADDRESS"] == "127.0.0.1:7233"
    assert env["CALLBACK_URL"] == "http://127.0.0.1:8001"
    assert env["API_PUBLIC_URL"] == "http://127.0.0.1:8000"
    assert "MOCK_SPEED" not in env
    mock = environment_of(found, SERVICES["mock-comfyui"])
    assert (mock["COMFYUI_PORT"], mock["MOCK_SPEED"]) == ("9001", "7")


def test_a_container_gets_the_names_of_others_and_the_ports_that_they_have_inside(
    settings: Load,
) -> None:
    found = settings(COMFYUI_PORT="9001", API_PORT="9002", COMFYUI_WORKFLOW=__file__)
    env = environment_of(found, WORKER, containers=True)
    assert env["IMAGE_SERVICE_URL"] == "http://mock-comfyui:6889"
    assert env["TEMPORAL_ADDRESS"] == "temporal:7233"
    assert env["CALLBACK_URL"] == "http://callback:8001"
    assert env["API_PUBLIC_URL"] == "http://127.0.0.1:9002"
    assert (env["DATA_DIR"], env["LISTEN_HOST"]) == ("/data", "0.0.0.0")
    assert env["COMFYUI_WORKFLOW"] == "/comfyui/workflow.json"
    assert for_compose(found)["COMFYUI_WORKFLOW"] == __file__
    api = environment_of(found, API, containers=True)
    assert api["MOCK_COMFYUI_URL"] == "http://mock-comfyui:6889"
    assert {"API_PORT", "COMFYUI_PORT"}.isdisjoint(api)
    assert environment_of(found, LOADTEST, containers=True)["API_URL"] == "http://api:8000"


@both_modes
def test_every_service_is_told_only_what_its_own_settings_have_fields_for(
    settings: Load, containers: bool
) -> None:
    found = settings(WORKERS="2", MODE="local", TEMPORAL_ADDRESS="t:1", TEMPORAL_TLS="true")
    for service in (each for each in SERVICES.values() if each.model):
        fields = {name.upper() for name in service.settings().model_fields}
        other = environment_of(found, service, containers=containers).keys() - fields
        assert all(name.startswith("TEMPORAL_") for name in other), service.name
        assert bool(other) == service.client or service is LOADTEST


@both_modes
def test_what_has_no_default_is_always_told(settings: Load, containers: bool) -> None:
    for service in (each for each in SERVICES.values() if each.model):
        fields = service.settings().model_fields
        needed = {name.upper() for name, field in fields.items() if field.is_required()}
        assert needed <= environment_of(settings(), service, containers=containers).keys()


def test_the_workers_may_reach_the_mocks_by_another_way(settings: Load) -> None:
    wire, mock = "http://127.0.0.1:7001", "http://127.0.0.1:16882"
    found = settings(IMAGE_SERVICE_URL=wire)
    env = environment_of(found, WORKER)
    assert (env["IMAGE_SERVICE_URL"], env["VIDEO_SERVICE_URL"]) == (wire, mock)
    assert "IMAGE_SERVICE_URL" not in environment_of(found, API)
    inside = environment_of(found, WORKER, containers=True)["IMAGE_SERVICE_URL"]
    assert inside == "http://host.docker.internal:7001"


def test_a_proxy_for_the_vendors_reaches_the_workers_alone(settings: Load) -> None:
    found = settings(VENDOR_PROXY="http://us:secret@127.0.0.1:3128")
    assert [*who_is_told(found, "VENDOR_PROXY", containers=False)] == ["worker"]
    assert who_is_told(found, "VENDOR_PROXY", containers=True) == {
        "worker": "http://us:secret@host.docker.internal:3128"
    }


@both_modes
@pytest.mark.parametrize(
    ("speed", "image", "drain"), [("1", "300", "3600"), ("10", "30", "360"), ("100", "15", "36")]
)
def test_the_workers_limits_follow_the_mocks_clock(
    settings: Load, speed: str, image: str, drain: str, *, containers: bool
) -> None:
    env = environment_of(settings(MOCK_SPEED=speed), WORKER, containers=containers)
    assert (env["IMAGE_ATTEMPT_SECONDS"], env["DRAIN_SECONDS"]) == (image, drain)
    assert patience(settings(MOCK_SPEED=speed)).items() <= env.items()


@pytest.mark.parametrize("speed", ["0.001", "1e-308", "nan", "x"])
def test_a_speed_that_the_mocks_refuse_is_the_only_mistake(settings: Load, speed: str) -> None:
    assert patience(settings(MOCK_SPEED=speed)) == {}
    with pytest.raises(ValidationError, match="mock_speed"):
        MockSettings.model_validate({"mock_speed": speed})
    for seconds in patience(settings(MOCK_SPEED="0.01")).values():
        TypeAdapter(Seconds).validate_python(seconds)


def test_deadlines_that_are_given_or_concern_real_services_are_left_alone(settings: Load) -> None:
    assert environment_of(settings(DRAIN_SECONDS="7"), WORKER)["DRAIN_SECONDS"] == "7"
    assert "DRAIN_SECONDS" not in environment_of(settings(**REAL), WORKER)


@both_modes
@pytest.mark.parametrize("mock", ["image", "video"])
def test_beside_a_mock_a_real_vendor_has_its_own_address_keys_and_time(
    settings: Load, mock: str, *, containers: bool
) -> None:
    given = {**OWN, "VIDEO_API": "kling", "MOCK_SPEED": "10", **REAL}
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


def test_each_local_worker_has_a_port_of_its_own(settings: Load) -> None:
    ports = [
        environment_of(settings(), WORKER, index=index)["WORKER_HTTP_PORT"] for index in range(3)
    ]
    assert ports == ["9100", "9101", "9102"]


@both_modes
@pytest.mark.parametrize(
    ("given", "guarded"),
    [
        ({}, "off"),
        ({"CALLBACK_URL": "http://localhost:8001"}, "off"),
        ({"BIND_ADDRESS": "::1", "CALLBACK_URL": "http://[::1]:8001/"}, "off"),
        ({"CALLBACK_URL": "https://hooks.example"}, "on"),
        ({"CALLBACK_URL": "http://192.168.1.5:8001"}, "on"),
        ({"BIND_ADDRESS": "0.0.0.0"}, "on"),
        ({"CALLBACK_BIND_ADDRESS": "192.168.1.5"}, "on"),
        ({"API_BIND_ADDRESS": "192.168.1.5", "API_TOKEN": "x" * 16}, "off"),
    ],
)
def test_the_receiver_is_guarded_where_others_can_reach_it(
    settings: Load, given: dict[str, str], guarded: str, *, containers: bool
) -> None:
    seen = who_is_told(settings(**given), "CALLBACK_GUARDED", containers=containers)
    assert seen == {"callback": guarded}


@both_modes
@pytest.mark.parametrize(
    ("given", "exposed"),
    [
        ({}, "false"),
        ({"CALLBACK_BIND_ADDRESS": "0.0.0.0"}, "false"),
        ({"API_BIND_ADDRESS": "::1"}, "false"),
        ({"API_BIND_ADDRESS": "10.1.2.3"}, "true"),
        ({"BIND_ADDRESS": "::"}, "true"),
    ],
)
def test_the_api_is_told_how_far_its_port_is_open(
    settings: Load, given: dict[str, str], exposed: str, *, containers: bool
) -> None:
    seen = who_is_told(settings(**given), "API_EXPOSED", containers=containers)
    assert seen == {"api": exposed}


def test_the_load_test_sees_the_stack_from_outside(settings: Load) -> None:
    found = settings(CALLBACK_URL="https://public.example", CALLBACK_SECRET=KEY)
    for containers, receiver in ((False, "http://127.0.0.1:8001"), (True, "http://callback:8001")):
        env = environment_of(found, LOADTEST, containers=containers)
        assert env["CALLBACK_URL"] == receiver
        assert "CALLBACK_SECRET" not in env


def test_containers_start_a_server_unless_one_is_named(settings: Load) -> None:
    assert for_compose(settings())["COMPOSE_PROFILES"] == "server"
    named = settings(TEMPORAL_ADDRESS="temporal.example:7233")
    assert for_compose(named)["COMPOSE_PROFILES"] == ""
    assert (
        environment_of(named, WORKER, containers=True)["TEMPORAL_ADDRESS"]
        == "temporal.example:7233"
    )


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("http://127.0.0.1:9001", "http://host.docker.internal:9001"),
        ("http://localhost/x", "http://host.docker.internal/x"),
        ("http://[::1]:9001", "http://host.docker.internal:9001"),
        ("http://localhost.example:1", "http://localhost.example:1"),
        ("http://10.127.0.0.1", "http://10.127.0.0.1"),
    ],
)
def test_this_machine_has_another_name_inside_a_container(
    settings: Load, given: str, seen: str
) -> None:
    env = environment_of(settings(**REAL | {"COMFYUI_URL": given}), WORKER, containers=True)
    assert env["IMAGE_SERVICE_URL"] == seen
    assert env["VIDEO_SERVICE_URL"] == "http://k.example"
    # A real vendor reaches us from outside.
    assert env["CALLBACK_URL"] == "http://127.0.0.1:8001"


def test_certificates_go_into_containers_by_value(settings: Load, tmp_path: Path) -> None:
    pem = tmp_path / "ca.pem"
    pem.write_text("-----BEGIN-----\nx\n")
    found = settings(TEMPORAL_ADDRESS="t:1", TEMPORAL_TLS_SERVER_CA_CERT_PATH=str(pem))
    env = environment_of(found, WORKER, containers=True)
    assert env["TEMPORAL_TLS_SERVER_CA_CERT_DATA"] == "-----BEGIN-----\nx\n"
    assert "TEMPORAL_TLS_SERVER_CA_CERT_PATH" not in env


@pytest.mark.parametrize("given", [{}, {"LISTEN_HOST": "0.0.0.0"}, {"BIND_ADDRESS": "0.0.0.0"}])
def test_a_process_listens_where_its_port_is_opened(settings: Load, given: dict[str, str]) -> None:
    listens = {
        name: environment_of(settings(**given), SERVICES[name])["LISTEN_HOST"] for name in NAMES
    }
    opened = given.get("BIND_ADDRESS", "127.0.0.1")
    assert {listens.pop("api"), listens.pop("callback")} == {opened}
    assert set(listens.values()) == {"127.0.0.1"}


def test_the_api_finds_the_receiver_where_that_listens(settings: Load) -> None:
    found = settings(CALLBACK_BIND_ADDRESS="10.1.2.3", CALLBACK_URL="https://public.example")
    assert environment_of(found, API)["CALLBACK_SERVICE_URL"] == "http://10.1.2.3:8001"
    assert environment_of(found, CALLBACK)["CALLBACK_URL"] == "https://public.example"


def test_a_container_is_told_the_names_and_addresses_that_it_is_asked_by(settings: Load) -> None:
    found = settings(API_BIND_ADDRESS="10.1.2.3", CALLBACK_BIND_ADDRESS="::", ALLOWED_HOSTS="a,b")
    assert environment_of(found, API, containers=True)["ALLOWED_HOSTS"] == "api,a,b,10.1.2.3,::1"
    mock = environment_of(found, SERVICES["mock-kling"], containers=True)["ALLOWED_HOSTS"]
    assert mock.startswith("mock-kling,host.docker.internal,a,b")
    binds = for_compose(found)
    assert (binds["API_BIND_ADDRESS"], binds["CALLBACK_BIND_ADDRESS"]) == ("10.1.2.3", "[::]")


@both_modes
@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ({"PAYLOAD_KEY": KEY, "API_PORT": "9000"}, "http://127.0.0.1:9000/codec"),
        (
            {
                "PAYLOAD_KEY": KEY,
                "API_PUBLIC_URL": "https://api.example/",
                "API_TOKEN": "t" * 16,
            },
            "https://api.example/codec",
        ),
        ({}, None),
    ],
)
def test_with_a_key_the_temporal_ui_alone_is_told_who_decrypts(
    settings: Load, given: dict[str, str], endpoint: str | None, *, containers: bool
) -> None:
    seen = who_is_told(settings(**given), "UI_CODEC_ENDPOINT", containers=containers)
    assert seen == ({"temporal": endpoint} if endpoint else {})


@pytest.mark.parametrize(
    ("given", "beside", "inside"),
    [
        (
            {"MOCK_PICTURE_HOSTS": "cdn.example,nas:1", "CALLBACK_PORT": "9001"},
            ("127.0.0.1:9001", "cdn.example,nas:1,127.0.0.1:6889,127.0.0.1:8000"),
            ("callback:8001", "cdn.example,nas:1,mock-comfyui:6889,api:8000"),
        ),
        (
            {
                "CALLBACK_URL": "https://user@hooks.example/in",
                "MOCK_CALLBACK_HOSTS": "other:1",
                "IMAGE_SERVICE_URL": "http://127.0.0.1:7000",
            },
            ("other:1,hooks.example", "127.0.0.1:7000,127.0.0.1:8000"),
            ("other:1,hooks.example", "host.docker.internal:7000,api:8000"),
        ),
        (
            {
                "STORE_URL": "s3://bucket",
                "STORE_ENDPOINT": "http://127.0.0.1:9000",
                "STORE_LINKS": "on",
            },
            ("127.0.0.1:8001", "127.0.0.1:6889,127.0.0.1:8000,127.0.0.1:9000"),
            ("callback:8001", "mock-comfyui:6889,api:8000,host.docker.internal:9000"),
        ),
    ],
)
def test_the_video_mock_is_told_whom_it_may_call(
    settings: Load, given: dict[str, str], *, beside: tuple[str, str], inside: tuple[str, str]
) -> None:
    for containers, hosts in ((False, beside), (True, inside)):
        env = environment_of(settings(**given), SERVICES["mock-kling"], containers=containers)
        assert (env["MOCK_CALLBACK_HOSTS"], env["MOCK_PICTURE_HOSTS"]) == hosts


@pytest.mark.parametrize(("given", "kept"), [({}, "true"), ({"RETENTION_DAYS": "30"}, "false")])
def test_the_api_may_remove_results_only_where_it_is_to(
    settings: Load, given: dict[str, str], kept: str
) -> None:
    assert for_compose(settings(**given))["API_KEEPS_RESULTS"] == kept


def test_a_name_is_made_once_and_outlives_what_the_stack_was_told(
    settings: Load, root: Path
) -> None:
    name = stack_name(settings())
    assert re.fullmatch(STACK_NAME, name)
    assert stack_name(settings()) == name
    assert not (root / "data/run").exists()
    (root / "data/secrets/stack").unlink()
    assert stack_name(settings()) != name


@pytest.mark.parametrize("damaged", ["", "No Name\n"])
def test_a_damaged_name_is_made_anew(settings: Load, root: Path, damaged: str) -> None:
    (root / "data/secrets").mkdir(parents=True)
    (root / "data/secrets/stack").write_text(damaged)
    name = stack_name(settings())
    assert re.fullmatch(STACK_NAME, name)
    assert stack_name(settings()) == name


def test_a_name_and_a_secret_that_are_given_count_and_write_nothing(
    settings: Load, root: Path
) -> None:
    found = settings(STACK="mine", CALLBACK_SECRET="x" * 40)
    assert (stack_name(found), callback_secret(found)) == ("mine", "x" * 40)
    assert not (root / "data").exists()


SECRETS = {
    "STACK": ["semaphore", "worker"],
    "CALLBACK_SECRET": ["worker", "callback"],
    "OPERATOR_KEY": ["api", "loadtest"],
    "PAYLOAD_KEY": ["semaphore", "worker", "callback", "api", "loadtest"],
    "TEMPORAL_API_KEY": ["semaphore", "worker", "callback", "api", "loadtest"],
    "API_TOKEN": ["api", "loadtest"],
    "KLING_WEBHOOK_SECRET": ["callback"],
}


@both_modes
@pytest.mark.parametrize("name", SECRETS)
def test_who_is_told_a_secret_is_who_needs_it(
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


@pytest.mark.parametrize("given", [{}, {"CALLBACK_SECRET": f"{'x' * 32},{'y' * 32}"}])
def test_the_operators_key_is_kept_for_its_owner_alone(
    settings: Load, given: dict[str, str]
) -> None:
    found = settings(**given)
    keep_secrets(found)
    folder = found.data_dir / "secrets"
    assert (folder / "operator_key").read_text() == operator_key(callback_secret(found))
    assert len(callback_secret(found)) >= 32
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


OWN = {"VIDEO_API": "kling", "KLING_API_KEY": "my-own"}


@both_modes
def test_a_mock_is_told_its_own_keys_and_nobody_elses(settings: Load, containers: bool) -> None:
    for found in (settings(**OWN), settings(VIDEO_API="kling")):
        env = environment_of(found, WORKER, containers=containers)
        assert {name: env[name] for name in STAND_IN} == STAND_IN
    assert not STAND_IN.keys() & environment_of(settings(), WORKER, containers=containers).keys()


def test_it_is_the_key_that_the_mock_takes() -> None:
    assert STAND_IN["KLING_API_KEY"] == initial_config(KlingSettings()).api_key


@both_modes
def test_a_vendor_is_told_the_users_keys_by_the_worker_alone(
    settings: Load, containers: bool
) -> None:
    found = settings(**OWN, **REAL, VIDEO_API_OPTIONS="{}")
    env = environment_of(found, WORKER, containers=containers)
    assert {name: env[name] for name in OWN} == OWN
    assert env["VIDEO_SERVICE_URL"] == REAL["KLING_URL"]
    assert "KLING_SECRET_KEY" not in env
    for name in ("KLING_API_KEY", "VIDEO_API_OPTIONS"):
        assert [*who_is_told(found, name, containers=containers)] == ["worker"]


def wrong(settings: Settings) -> str:
    with pytest.raises(StackError) as caught:
        check_services(settings)
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.status == USAGE
    return line


WRONG = {
    # Settings that nobody but their service has ever looked at.
    "API_RATE": "200000",
    "API_ORIGINS": "nonsense",
    "GATES": "foo",
    "VIDEO_POLL_SECONDS": "abc",
    "SEMAPHORE_CAPACITY": "-1",
    "MOCK_IMAGE_SECONDS": "long",
    "KLING_PLACES": "-1",
    "MOCK_CALLBACK_HOSTS": "http://receiver:8001",
    "MOCK_PICTURE_HOSTS": "pictures:x",
    "KLING_WEBHOOK_SECRET": "whsec_no-base64-at-all",
    # Settings of several.
    "LOG_LEVEL": "LOUD",
    "LOG_FORMAT": "xml",
    "MOCK_SPEED": "fast",
    "STALL_SECONDS": "0",
    "PAYLOAD_KEY": "A" * 43 + "=,short",
    "CALLBACK_SECRET": "x" * 31,
    "API_PUBLIC_URL": "ftp://x",
    # The rest.
    "API_TOKEN": "short",
    "API_MAX_SOCKETS": "0",
    "RETENTION_DAYS": "0",
    "CALLBACK_URL": "http://a b",
    "TEMPORAL_UI_URL": "nowhere",
    "IMAGE_SERVICE_URL": "ftp://x",
    "RESULT_HOSTS": "*.com,https://cdn.example",
    "VENDOR_PROXY": "socks5://us:a-password@proxy:1080",
}


def test_the_services_models_name_every_mistake_once_with_its_origin(
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
    for name in (
        "PAYLOAD_KEY",
        "CALLBACK_SECRET",
        "API_TOKEN",
        "VENDOR_PROXY",
        "KLING_WEBHOOK_SECRET",
    ):
        assert WRONG[name] not in line
        assert f"{name}=… (environment)" in line


@pytest.mark.parametrize("name", ["https://video.example", "http://10.1.2.3:8000"])
def test_an_api_behind_a_proxy_is_as_open_as_one_without(settings: Load, name: str) -> None:
    """On loopback everybody may read, and the proxy would hand that on."""
    assert "API_TOKEN= (default) is refused: is needed where the API is open" in wrong(
        settings(API_PUBLIC_URL=name)
    )
    found = settings(API_PUBLIC_URL=name, API_TOKEN="t" * 16)
    assert environment_of(found, API)["API_EXPOSED"] == "true"
    here = settings(API_PUBLIC_URL="http://localhost:8000")
    assert environment_of(here, API)["API_EXPOSED"] == "false"


@pytest.mark.parametrize("name", ["API_RATE", "RETENTION_DAYS", "DRAIN_SECONDS"])
def test_a_number_of_a_service_has_no_underscores(settings: Load, name: str) -> None:
    assert f"{name}=1_0 (environment) is refused: " in wrong(settings(**{name: "1_0"}))


@pytest.mark.parametrize("address", ["http://[x", "http://a]"])
@pytest.mark.parametrize("name", ["CALLBACK_URL", "API_PUBLIC_URL"])
def test_an_address_that_cannot_be_taken_apart_is_refused_like_any_other(
    settings: Load, name: str, address: str
) -> None:
    assert f"{name}={address} (environment) is refused: " in wrong(settings(**{name: address}))


def test_they_are_named_together_with_the_stacks_own(root: Path) -> None:
    with pytest.raises(StackError) as caught:
        load(root, {"WORKERS": "x", "API_RATE": "y"})
    assert "WORKERS=x (environment) is not a whole number from 1 to 64; API_RATE=y" in str(
        caught.value
    )


@pytest.mark.parametrize(
    "right",
    [
        {},
        {"MOCK_SPEED": "0.5", "API_RATE": "0", "GATES": "image,video", "API_ORIGINS": "*"},
        {
            "MOCK_SPEED": "100000",
            "PAYLOAD_KEY": "A" * 43 + "=",
            "CALLBACK_SECRET": f"{'x' * 32},{'y' * 32}",
        },
        REAL | {"KLING_PLACES": "-1"},
        {"BIND_ADDRESS": "0.0.0.0", "API_TOKEN": "x" * 16},
        {"BIND_ADDRESS": "0.0.0.0", "API_BIND_ADDRESS": "127.0.0.2"},
        {"CALLBACK_BIND_ADDRESS": "0.0.0.0"},
    ],
)
def test_what_is_right_or_not_started_is_accepted_and_nothing_is_made(
    settings: Load, root: Path, right: dict[str, str]
) -> None:
    check_services(settings(**right))
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
        ({"STORE_KEY": "k"}, "STORE_URL=file: has no use for STORE_KEY"),
    ],
)
def test_what_several_settings_say_together_is_told_once(
    settings: Load, together: dict[str, str], said: str
) -> None:
    line = wrong(settings(**REAL, **together, API_RATE="x"))
    assert line.count(said) == 1
    assert "API_RATE=x (environment) is refused" in line


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"BIND_ADDRESS": "0.0.0.0"}, "0.0.0.0"),
        ({"BIND_ADDRESS": "127.0.0.1", "API_BIND_ADDRESS": "::"}, "::"),
        ({"API_BIND_ADDRESS": "10.1.2.3", "API_TOKEN": ""}, "10.1.2.3"),
    ],
)
def test_without_a_token_the_api_stays_on_loopback(
    settings: Load, environ: dict[str, str], name: str
) -> None:
    line = wrong(settings(**environ))
    assert line.startswith("wrong settings: API_TOKEN= (default) is refused: is needed where")
    for way in ("API_BIND_ADDRESS", "API_PUBLIC_URL", "CALLBACK_BIND_ADDRESS"):
        assert way in line


def test_a_store_that_is_away_is_told(settings: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "not ours to use")
    away = {"STORE_URL": "s3://bucket", "STORE_ENDPOINT": "http://127.0.0.1:1"}
    line = wrong(settings(**away, STORE_KEY="k", STORE_SECRET="hunter2"))
    assert line.startswith("wrong settings: STORE_URL=s3://bucket (environment) is refused: ")
    assert "hunter2" not in line


def test_the_settings_are_those_of_the_services_alone(
    settings: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What this shell has, and no service is told, is nobody's mistake."""
    monkeypatch.setenv("OPERATOR_KEY", "")
    monkeypatch.setenv("API_RATE", "x")
    check_services(settings())
    assert os.environ["API_RATE"] == "x"


def test_no_service_needs_more_than_its_settings_for_it() -> None:
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
