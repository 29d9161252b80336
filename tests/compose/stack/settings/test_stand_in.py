"""The video vendors' settings while a mock stands in for them."""

from collections.abc import Mapping

import pytest

from compose.stack.settings import environment
from compose.stack.settings.load import Settings
from compose.stack.settings.stand_in import FAL, KLING, PATH
from services.mock_kling.config import initial_config
from services.mock_kling.fal.routes import PREFIX
from services.mock_kling.settings import KlingSettings
from tests.compose.stack.conftest import Load

OWN = {"VIDEO_API": "kling", "KLING_API_KEY": "my-own", "KLING_DIALECT": "newapi"}
OWN_FAL = {"VIDEO_API": "fal", "FAL_KEY": "my-own", "FAL_MODEL": "owner/app/endpoint"}
REAL = {"MOCKS": "off", "COMFYUI_URL": "http://c.example", "KLING_URL": "http://k.example"}
KEYS = KLING | FAL


def both_modes(found: Settings) -> list[Mapping[str, str]]:
    return [environment.local_service(found, "worker"), environment.for_compose(found)]


@pytest.mark.parametrize(("own", "keys"), [(OWN, KLING), (OWN_FAL, FAL)], ids=["kling", "fal"])
def test_the_mock_is_told_its_own_keys_and_nobody_elses(
    settings: Load, own: dict[str, str], keys: dict[str, str]
) -> None:
    for found in (settings(**own), settings(VIDEO_API=own["VIDEO_API"])):
        for env in both_modes(found):
            assert {name: env[name] for name in keys} == keys
            assert env["VIDEO_API"] == own["VIDEO_API"]


def test_they_are_those_that_the_mock_takes() -> None:
    config = initial_config(KlingSettings())
    assert (KLING["KLING_API_KEY"], FAL["FAL_KEY"]) == (config.api_key, config.fal_key)


def test_fals_queue_is_at_a_path_of_the_mock_which_the_worker_alone_is_told(
    settings: Load,
) -> None:
    found, path = settings(**OWN_FAL), PREFIX.rstrip("/")
    plain = environment.local_loadtest(found)["VIDEO_SERVICE_URL"]
    assert environment.local_service(found, "worker")["VIDEO_SERVICE_URL"] == f"{plain}{path}"
    assert environment.for_compose(found)[PATH] == path
    assert "VIDEO_SERVICE_URL" not in environment.for_compose(found)


@pytest.mark.parametrize("own", [OWN, OWN_FAL], ids=["kling", "fal"])
def test_the_vendor_is_told_the_users(settings: Load, own: dict[str, str]) -> None:
    for env in both_modes(settings(**own, **REAL)):
        assert {name: env[name] for name in own} == own
        assert env["VIDEO_SERVICE_URL"] == REAL["KLING_URL"]
        assert not {"KLING_SECRET_KEY", PATH} & env.keys()


def test_where_the_small_contract_is_spoken_there_are_no_keys(settings: Load) -> None:
    env = environment.local_service(settings(), "worker")
    assert not KEYS.keys() & env.keys()


@pytest.mark.parametrize("own", [OWN, OWN_FAL], ids=["kling", "fal"])
def test_no_key_reaches_another_service(settings: Load, own: dict[str, str]) -> None:
    found = settings(**own, **REAL)
    for name in ("api", "callback", "semaphore", "mock-kling"):
        assert not KEYS.keys() & environment.local_service(found, name).keys()
