"""Settings that several services have, and PIPELINES: which there are beside genvideo."""

import re

import pytest
from pydantic import ValidationError

from examples.speech.definition import SPEECH
from shared.jobs.genvideo import GENVIDEO
from shared.settings.common import CommonSettings
from shared.settings.pipelines import PipelineSettings

SPEECH_PATH = "examples.speech.definition:SPEECH"


def test_genvideo_is_built_in_and_others_have_import_paths() -> None:
    assert PipelineSettings().known == {"genvideo": GENVIDEO}
    known = PipelineSettings(pipelines=f" {SPEECH_PATH}, ").known
    assert known == {"genvideo": GENVIDEO, "speech": SPEECH}


@pytest.mark.parametrize(
    ("paths", "why"),
    [
        ("examples.nowhere:SPEECH", "examples.nowhere:SPEECH can't be imported"),
        ("examples.speech.definition:OPERA", "examples.speech.definition:OPERA can't be imported"),
        ("examples.speech.definition:READ", "is not package.module:NAME of a pipeline's"),
        ("speech", "speech is not package.module:NAME of a pipeline's definition"),
        (f"{SPEECH_PATH},{SPEECH_PATH}", "names speech twice"),
        ("shared.jobs.genvideo:GENVIDEO", "names genvideo twice"),
    ],
)
def test_wrong_pipeline_is_named(paths: str, why: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(why)):
        PipelineSettings(pipelines=paths)


def test_empty_variable_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "")
    assert CommonSettings().log_level == "INFO"
