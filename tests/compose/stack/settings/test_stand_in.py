"""The settings of Kling's keys while a mock stands in for it."""

from collections.abc import Mapping

from compose.stack.settings import environment
from compose.stack.settings.load import Settings
from compose.stack.settings.stand_in import KLING
from services.mock_kling.settings import KlingSettings, initial_config
from tests.compose.stack.conftest import Load

OWN = {"VIDEO_API": "kling", "KLING_API_KEY": "my-own"}
REAL = {"MOCKS": "off", "COMFYUI_URL": "http://c.example", "KLING_URL": "http://k.example"}


def both_modes(found: Settings) -> list[Mapping[str, str]]:
    return [environment.local_service(found, "worker"), environment.for_compose(found)]


def test_the_mock_is_told_its_own_keys_and_nobody_elses(settings: Load) -> None:
    for found in (settings(**OWN), settings(VIDEO_API="kling")):
        for env in both_modes(found):
            assert {name: env[name] for name in KLING} == KLING
            assert env["VIDEO_API"] == "kling"


def test_it_is_the_key_that_the_mock_takes() -> None:
    assert KLING["KLING_API_KEY"] == initial_config(KlingSettings()).api_key


def test_the_vendor_is_told_the_users(settings: Load) -> None:
    for env in both_modes(settings(**OWN, **REAL)):
        assert {name: env[name] for name in OWN} == OWN
        assert env["VIDEO_SERVICE_URL"] == REAL["KLING_URL"]
        assert "KLING_SECRET_KEY" not in env


def test_where_the_small_contract_is_spoken_there_are_no_keys(settings: Load) -> None:
    env = environment.local_service(settings(), "worker")
    assert not KLING.keys() & env.keys()


def test_no_key_reaches_another_service(settings: Load) -> None:
    found = settings(**OWN, **REAL)
    for name in ("api", "callback", "semaphore", "mock-kling"):
        assert not KLING.keys() & environment.local_service(found, name).keys()
