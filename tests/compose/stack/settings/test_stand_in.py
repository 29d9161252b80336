"""Kling's settings while a mock stands in for it."""

from compose.stack.settings import environment
from compose.stack.settings.stand_in import KEYS
from services.mock_kling.config import initial_config
from services.mock_kling.settings import KlingSettings
from tests.compose.stack.conftest import Load

OWN = {"VIDEO_API": "kling", "KLING_API_KEY": "my-own", "KLING_DIALECT": "newapi"}
REAL = {"MOCKS": "off", "COMFYUI_URL": "http://c.example", "KLING_URL": "http://k.example"}


def test_the_mock_is_told_its_own_keys_and_nobody_elses(settings: Load) -> None:
    for found in (settings(**OWN), settings(VIDEO_API="kling")):
        for env in (environment.local_service(found, "worker"), environment.for_compose(found)):
            assert {name: env[name] for name in KEYS} == KEYS
            assert env["VIDEO_API"] == "kling"


def test_it_is_the_one_that_the_mock_takes() -> None:
    assert KEYS["KLING_API_KEY"] == initial_config(KlingSettings()).api_key


def test_kling_is_told_the_users(settings: Load) -> None:
    found = settings(**OWN, **REAL)
    for env in (environment.local_service(found, "worker"), environment.for_compose(found)):
        assert {name: env[name] for name in OWN} == OWN
        assert "KLING_SECRET_KEY" not in env


def test_where_the_small_contract_is_spoken_there_are_no_keys(settings: Load) -> None:
    env = environment.local_service(settings(), "worker")
    assert not KEYS.keys() & env.keys()


def test_no_key_reaches_another_service(settings: Load) -> None:
    found = settings(**OWN, **REAL)
    for name in ("api", "callback", "semaphore", "mock-kling"):
        assert "KLING_API_KEY" not in environment.local_service(found, name)
