"""What a pipeline is as data, and that the engine knows none of them."""

import re
from pathlib import Path

import pytest

from shared.jobs.genvideo import GENVIDEO
from shared.pipeline.definition import FileKind, Stage

ENGINE = Path(__file__).parents[3] / "shared" / "pipeline"
# `genvideo` is the project's own name, in its metrics and errors.
NAMED = re.compile(r"(?<!gen)(image|video|kling|comfy)", re.IGNORECASE)
WAV = FileKind("WAV", "wav", "audio/wav")


def test_the_engine_names_no_stage_no_medium_and_no_vendor() -> None:
    files = sorted(ENGINE.glob("*.py"))
    assert len(files) > 10
    named = {file.name: NAMED.findall(file.read_text(encoding="utf-8")) for file in files}
    assert {name: found for name, found in named.items() if found} == {}


@pytest.mark.parametrize("name", ["", "Image", "a.b", "1st", "a" * 32, "a-b", "a\n"])
def test_what_is_no_name_of_a_stage(name: str) -> None:
    """It becomes a part of ids, of names of activities and of files."""
    with pytest.raises(ValueError, match="not a stage name"):
        Stage(name=name, file=WAV, vendor="tts", deadline=1, give_up=1)


def test_a_job_without_an_attempt_has_a_count_for_each_stage() -> None:
    assert GENVIDEO.attempts() == dict.fromkeys(GENVIDEO.names, 0)
    assert [GENVIDEO.stage(name) for name in GENVIDEO.names] == list(GENVIDEO.stages)
