"""What another pipeline brings into the stack: services, ports, addresses, settings."""

import json

import pytest

from compose.stack.environment import environment_of, service_mistakes
from compose.stack.output import StackError
from compose.stack.services import API, LOADTEST, NAMES, VIDEO, WORKER
from compose.stack.settings import load
from tests.compose.stack.conftest import Load

SPEECH = {"PIPELINES": "examples.speech.definition:SPEECH"}
both_modes = pytest.mark.parametrize("containers", [False, True], ids=["processes", "containers"])


def test_services_of_a_pipeline_run_after_those_of_the_stack(settings: Load) -> None:
    found = settings(**SPEECH, SPEECH_PORT="9001")
    names = [each.name for each in found.parts]
    assert names[: len(NAMES)] == [*NAMES]
    assert "mock-speech" in names[len(NAMES) :]
    assert (found.ports["SPEECH_PORT"], found.binds["SPEECH_PORT"]) == (9001, "127.0.0.1")
    assert [each.name for each in settings().parts] == [*NAMES]
    real = {"MOCKS": "off", "COMFYUI_URL": "http://a", "KLING_URL": "http://b"}
    assert "mock-speech" not in {each.name for each in settings(**SPEECH, **real).parts}
    assert {each.name for each in settings(**SPEECH, ROLES="temporal,mock-speech").parts} == {
        "temporal",
        "mock-speech",
    }


@both_modes
def test_api_and_load_test_get_their_addresses(settings: Load, containers: bool) -> None:
    found = settings(**SPEECH, SPEECH_PORT="9001")
    url = "http://mock-speech:16883" if containers else "http://127.0.0.1:9001"
    for service in (API, LOADTEST):
        env = environment_of(found, service, containers=containers)
        assert json.loads(env["PIPELINE_SERVICES"])["mock-speech"] == url
        assert env["PIPELINES"] == SPEECH["PIPELINES"]
    mock = next(each for each in found.parts if each.name == "mock-speech")
    env = environment_of(found, mock, containers=containers)
    assert env["MOCK_SERVICES"] == "image,video,speech"
    assert env.get("SPEECH_PORT") == (None if containers else "9001")
    assert environment_of(found, VIDEO)["MOCK_SERVICES"] == "image,video,speech"


def test_settings_of_a_pipeline_are_known_and_checked(settings: Load) -> None:
    found = settings(**SPEECH, MOCK_SPEECH_SECONDS="3")
    mock = next(each for each in found.parts if each.name == "mock-speech")
    assert environment_of(found, mock)["MOCK_SPEECH_SECONDS"] == "3"
    with pytest.raises(StackError) as refused:
        load(found.root, {**SPEECH, "SPEECH_PORT": "0", "MOCK_SPEECH_SECONDS": "soon"})
    said = str(refused.value)
    assert "SPEECH_PORT=0 (environment) is not a whole number from 1 to 65535" in said
    assert "MOCK_SPEECH_SECONDS=soon (environment) is refused: " in said


def test_gates_of_all_pipelines_are_switched_on_by_one_setting(settings: Load) -> None:
    found = settings(**SPEECH, GATES="image,speech")
    for each in (WORKER, next(each for each in found.parts if each.name == "speech")):
        env = environment_of(found, each)
        assert (env["GATES"], env["PIPELINES"]) == ("image,speech", SPEECH["PIPELINES"])
    assert not service_mistakes(found)
    assert [*service_mistakes(settings(**SPEECH, GATES="speach"))] == [
        "GATES=speach (environment) is refused: no such gate: speach;"
        " known are image, video, speech"
    ]


def test_unknown_pipeline_is_named(settings: Load) -> None:
    with pytest.raises(StackError, match=r"PIPELINES=examples\.opera:OPERA.*can't be imported"):
        load(settings().root, {"PIPELINES": "examples.opera:OPERA", "API_PORT": "0"})
