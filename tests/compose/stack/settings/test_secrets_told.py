"""Who is told which secret, in both modes: those alone who need it."""

import pytest

from compose.stack.services import NAMES
from compose.stack.settings import environment, secrets
from shared.jobs.tokens import operator_key
from tests.compose.stack.conftest import Load

KEY = "A" * 43 + "="


def test_the_callback_secret_is_made_once_and_shown_to_two_services_alone(settings: Load) -> None:
    found = settings()
    seen = {
        name: environment.local_service(found, name).get("CALLBACK_SECRET")
        for name in ("worker", "callback", "api", "semaphore", "mock-kling", "temporal")
    }
    assert seen["worker"] is not None
    assert seen["worker"] == seen["callback"]
    assert len(seen["worker"]) >= 32
    assert [name for name, secret in seen.items() if secret] == ["worker", "callback"]
    file = found.data_dir / "secrets" / "callback_secret"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("given", [{}, {"CALLBACK_SECRET": f"{'x' * 32},{'y' * 32}"}])
def test_the_operators_key_is_the_one_that_the_receiver_takes(
    settings: Load, given: dict[str, str]
) -> None:
    found = settings(**given)
    secrets.make(found)
    file = found.data_dir / "secrets" / "operator_key"
    assert file.read_text() == operator_key(secrets.callback_secret(found))
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_operators_key_is_handed_to_those_who_ask_the_receiver(settings: Load) -> None:
    found = settings()
    key = secrets.operator_key(found)
    told = {name: environment.local_service(found, name) for name in NAMES}
    assert [name for name, env in told.items() if "OPERATOR_KEY" in env] == ["api"]
    assert told["api"]["OPERATOR_KEY"] == key
    assert environment.local_loadtest(found)["OPERATOR_KEY"] == key
    assert environment.for_compose(found)["OPERATOR_KEY"] == key


def test_a_secret_of_the_users_own_is_taken(settings: Load) -> None:
    found = settings(CALLBACK_SECRET="x" * 40)
    assert environment.for_compose(found)["CALLBACK_SECRET"] == "x" * 40
    assert not (found.data_dir / "secrets" / "callback_secret").exists()


@pytest.mark.parametrize("name", ["PAYLOAD_KEY", "TEMPORAL_API_KEY"])
def test_keys_for_temporal_reach_its_clients_alone(settings: Load, name: str) -> None:
    found = settings(**{name: KEY, "TEMPORAL_ADDRESS": "t:1"})
    told = {
        service
        for service in ("api", "callback", "semaphore", "worker", "mock-comfyui", "mock-kling")
        if environment.local_service(found, service).get(name) == KEY
    }
    assert told == {"api", "callback", "semaphore", "worker"}
    assert KEY not in environment.local_service(found, "temporal").values()
    assert environment.local_loadtest(found)[name] == KEY
    assert environment.for_compose(found)[name] == KEY


def test_the_apis_token_reaches_the_api_and_the_load_test_alone(settings: Load) -> None:
    found = settings(API_TOKEN=KEY)
    services = ("api", "callback", "semaphore", "worker", "mock-comfyui", "mock-kling", "temporal")
    told = [name for name in services if "API_TOKEN" in environment.local_service(found, name)]
    assert told == ["api"]
    assert environment.local_loadtest(found)["API_TOKEN"] == KEY
    assert environment.for_compose(found)["API_TOKEN"] == KEY


def test_the_load_test_has_no_use_for_the_callbacks_secret(settings: Load) -> None:
    assert "CALLBACK_SECRET" not in environment.local_loadtest(settings(CALLBACK_SECRET=KEY))
