"""What each service is told, in both modes."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from compose.stack.services import NAMES
from compose.stack.settings import environment
from services.mock_core.settings import MockSettings
from shared.settings.common import Seconds
from tests.compose.stack.conftest import Load

KEY = "A" * 43 + "="
API_EXAMPLE = "https://api.example/codec"


def test_a_local_service_gets_ports_and_addresses(settings: Load) -> None:
    found = settings(COMFYUI_PORT="9001", MOCK_SPEED="7")
    env = environment.local_service(found, "worker")
    assert env["IMAGE_SERVICE_URL"] == "http://127.0.0.1:9001"
    assert env["VIDEO_SERVICE_URL"] == "http://127.0.0.1:16882"
    assert env["TEMPORAL_ADDRESS"] == "127.0.0.1:7233"
    assert env["CALLBACK_URL"] == "http://127.0.0.1:8001"
    assert env["API_PUBLIC_URL"] == "http://127.0.0.1:8000"
    assert "MOCK_SPEED" not in env
    mock = environment.local_service(found, "mock-comfyui")
    assert (mock["COMFYUI_PORT"], mock["MOCK_SPEED"]) == ("9001", "7")


def test_the_workers_may_reach_the_mocks_by_another_way(settings: Load) -> None:
    wire, mock = "http://127.0.0.1:7001", "http://127.0.0.1:16882"
    found = settings(IMAGE_SERVICE_URL=wire)
    env = environment.local_service(found, "worker")
    assert (env["IMAGE_SERVICE_URL"], env["VIDEO_SERVICE_URL"]) == (wire, mock)
    assert "IMAGE_SERVICE_URL" not in environment.local_service(found, "api")
    inside = environment.for_compose(found)["IMAGE_SERVICE_URL"]
    assert inside == "http://host.docker.internal:7001"


def test_a_proxy_for_the_vendors_reaches_the_workers_alone(settings: Load) -> None:
    found = settings(VENDOR_PROXY="http://us:secret@127.0.0.1:3128")
    services = ("api", "callback", "semaphore", "worker", "mock-comfyui", "mock-kling", "temporal")
    told = [name for name in services if "VENDOR_PROXY" in environment.local_service(found, name)]
    assert told == ["worker"]
    inside = environment.for_compose(found)["VENDOR_PROXY"]
    assert inside == "http://us:secret@host.docker.internal:3128"


# By the mocks' speed: 1, 10 and 100.
FOLLOWING = {
    "IMAGE_ATTEMPT_SECONDS": ("300", "30", "15"),
    "VIDEO_ATTEMPT_SECONDS": ("900", "90", "20"),
    "IMAGE_GIVE_UP_SECONDS": ("3600", "360", "60"),
    "VIDEO_GIVE_UP_SECONDS": ("3600", "360", "60"),
    "IMAGE_LOST_SECONDS": ("60", "6", "3"),
    "VIDEO_LOST_SECONDS": ("300", "30", "5"),
    "IMAGE_ADDRESS_SECONDS": ("60", "6", "3"),
    "VIDEO_ADDRESS_SECONDS": ("300", "30", "5"),
    "ACCEPT_SECONDS": ("30", "3", "2"),
    "DRAIN_SECONDS": ("3600", "360", "36"),
}


@pytest.mark.parametrize(("place", "speed"), [(0, "1"), (1, "10"), (2, "100")])
def test_the_workers_limits_follow_the_mocks_clock(settings: Load, place: int, speed: str) -> None:
    found = settings(MOCK_SPEED=speed)
    for env in (environment.local_service(found, "worker"), environment.for_compose(found)):
        assert {name: env[name] for name in FOLLOWING} == {
            name: values[place] for name, values in FOLLOWING.items()
        }


@pytest.mark.parametrize("speed", ["0.001", "1e-308", "nan", "x"])
def test_a_speed_that_the_mocks_refuse_is_the_only_mistake(settings: Load, speed: str) -> None:
    assert environment.patience(settings(MOCK_SPEED=speed)) == {}
    with pytest.raises(ValidationError, match="mock_speed"):
        MockSettings.model_validate({"mock_speed": speed})
    for seconds in environment.patience(settings(MOCK_SPEED="0.01")).values():
        TypeAdapter(Seconds).validate_python(seconds)


def test_deadlines_that_are_given_or_concern_real_services_are_left_alone(settings: Load) -> None:
    given = environment.local_service(settings(DRAIN_SECONDS="7"), "worker")
    assert given["DRAIN_SECONDS"] == "7"
    real = settings(MOCKS="off", COMFYUI_URL="http://gpu:1", KLING_URL="http://kling:2")
    assert "DRAIN_SECONDS" not in environment.local_service(real, "worker")


def test_each_local_worker_has_a_port_of_its_own(settings: Load) -> None:
    ports = [
        environment.local_service(settings(), "worker", index=index)["WORKER_HTTP_PORT"]
        for index in range(3)
    ]
    assert ports == ["9100", "9101", "9102"]


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
    settings: Load, given: dict[str, str], guarded: str
) -> None:
    found = settings(**given)
    assert environment.local_service(found, "callback")["CALLBACK_GUARDED"] == guarded
    assert environment.for_compose(found)["CALLBACK_GUARDED"] == guarded
    assert "CALLBACK_GUARDED" not in environment.local_service(found, "worker")


def test_the_stacks_own_business_reaches_no_service(settings: Load) -> None:
    env = environment.local_service(settings(WORKERS="2", MODE="local"), "worker")
    assert not {"WORKERS", "MODE"} & set(env)


def test_the_load_test_sees_the_stack_from_outside(settings: Load) -> None:
    env = environment.local_loadtest(settings(CALLBACK_URL="https://public.example"))
    assert env["API_URL"] == "http://127.0.0.1:8000"
    assert env["CALLBACK_URL"] == "http://127.0.0.1:8001"
    assert "CALLBACK_SECRET" not in env


def test_containers_start_a_server_unless_one_is_named(settings: Load) -> None:
    assert environment.for_compose(settings())["COMPOSE_PROFILES"] == "server"
    named = environment.for_compose(settings(TEMPORAL_ADDRESS="temporal.example:7233"))
    assert named["COMPOSE_PROFILES"] == ""
    assert named["TEMPORAL_ADDRESS"] == "temporal.example:7233"


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
    found = settings(MOCKS="off", COMFYUI_URL=given, KLING_URL="http://kling.example")
    env = environment.for_compose(found)
    assert env["IMAGE_SERVICE_URL"] == seen
    assert env["VIDEO_SERVICE_URL"] == "http://kling.example"
    assert env["CALLBACK_URL"] == "http://127.0.0.1:8001"


def test_certificates_go_into_containers_by_value(settings: Load, tmp_path: Path) -> None:
    pem = tmp_path / "ca.pem"
    pem.write_text("-----BEGIN-----\nx\n")
    found = settings(TEMPORAL_ADDRESS="t:1", TEMPORAL_TLS_SERVER_CA_CERT_PATH=str(pem))
    env = environment.for_compose(found)
    assert env["TEMPORAL_TLS_SERVER_CA_CERT_DATA"] == "-----BEGIN-----\nx\n"
    assert "TEMPORAL_TLS_SERVER_CA_CERT_PATH" not in env


@pytest.mark.parametrize("given", [{}, {"LISTEN_HOST": "0.0.0.0"}, {"BIND_ADDRESS": "0.0.0.0"}])
def test_a_process_listens_where_its_port_is_opened(settings: Load, given: dict[str, str]) -> None:
    found = settings(**given)
    listens = {name: environment.local_service(found, name)["LISTEN_HOST"] for name in NAMES}
    opened = given.get("BIND_ADDRESS", "127.0.0.1")
    assert {listens.pop("api"), listens.pop("callback")} == {opened}
    assert set(listens.values()) == {"127.0.0.1"}


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
    settings: Load, given: dict[str, str], exposed: str
) -> None:
    found = settings(**given)
    assert environment.local_service(found, "api")["API_EXPOSED"] == exposed
    assert environment.for_compose(found)["API_EXPOSED"] == exposed
    assert "API_EXPOSED" not in environment.local_service(found, "callback")


def test_the_api_finds_the_receiver_where_that_listens(settings: Load) -> None:
    found = settings(CALLBACK_BIND_ADDRESS="10.1.2.3", CALLBACK_URL="https://public.example")
    told = environment.local_service(found, "api")
    assert told["CALLBACK_SERVICE_URL"] == "http://10.1.2.3:8001"
    told = environment.local_service(found, "callback")
    assert told["CALLBACK_URL"] == "https://public.example"


def test_a_container_is_told_the_addresses_that_it_is_asked_by(settings: Load) -> None:
    found = settings(API_BIND_ADDRESS="10.1.2.3", CALLBACK_BIND_ADDRESS="::", ALLOWED_HOSTS="a,b")
    env = environment.for_compose(found)
    assert env["ALLOWED_HOSTS"] == "a,b,10.1.2.3,::1"
    assert (env["API_BIND_ADDRESS"], env["CALLBACK_BIND_ADDRESS"]) == ("10.1.2.3", "[::]")


def test_with_a_key_the_temporal_ui_is_told_who_decrypts(settings: Load) -> None:
    for found, endpoint in (
        (settings(PAYLOAD_KEY=KEY, API_PORT="9000"), "http://127.0.0.1:9000/codec"),
        (settings(PAYLOAD_KEY=KEY, API_PUBLIC_URL="https://api.example/"), API_EXAMPLE),
        (settings(), None),
    ):
        for env in (
            environment.local_service(found, "temporal"),
            environment.for_compose(found),
        ):
            assert env.get("UI_CODEC_ENDPOINT") == endpoint
        assert "UI_CODEC_ENDPOINT" not in environment.local_service(found, "api")


def test_the_video_mock_is_told_whom_it_may_call(settings: Load) -> None:
    found = settings(MOCK_PICTURE_HOSTS="cdn.example,nas:1", CALLBACK_PORT="9001")
    told = environment.local_service(found, "mock-kling")
    assert told["MOCK_CALLBACK_HOSTS"] == "127.0.0.1:9001"
    assert told["MOCK_PICTURE_HOSTS"] == "cdn.example,nas:1,127.0.0.1:6889,127.0.0.1:8000"
    contained = environment.for_compose(found)
    assert contained["MOCK_CALLBACK_HOSTS"] == "callback:8001"
    assert contained["MOCK_PICTURE_HOSTS"] == "cdn.example,nas:1,mock-comfyui:6889,api:8000"


def test_the_video_mock_may_call_the_receiver_wherever_it_is(settings: Load) -> None:
    url = {"CALLBACK_URL": "https://user@hooks.example/in", "MOCK_CALLBACK_HOSTS": "other:1"}
    wired = {"IMAGE_SERVICE_URL": "http://127.0.0.1:7000"}
    found = settings(**url, **wired)
    told = environment.local_service(found, "mock-kling")
    assert told["MOCK_CALLBACK_HOSTS"] == "other:1,hooks.example"
    contained = environment.for_compose(found)
    assert contained["MOCK_CALLBACK_HOSTS"] == "other:1,hooks.example"
    assert contained["MOCK_PICTURE_HOSTS"] == "host.docker.internal:7000,api:8000"


@pytest.mark.parametrize(("given", "kept"), [({}, "true"), ({"RETENTION_DAYS": "30"}, "false")])
def test_the_api_may_remove_results_only_where_it_is_to(
    settings: Load, given: dict[str, str], kept: str
) -> None:
    assert environment.for_compose(settings(**given))["API_KEEPS_RESULTS"] == kept
