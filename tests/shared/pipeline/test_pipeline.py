"""The engine knows no pipeline; its own tests are those of genvideo, of the example and of the
simulation, which has a second pipeline on the same slot."""

import re
from pathlib import Path

import pytest

from shared.jobs.genvideo import IMAGE
from shared.pipeline.definition import Stage

ENGINE = Path(__file__).parents[3] / "shared" / "pipeline"
# `genvideo` is the project's own name, in its metrics and errors.
NAMED = re.compile(r"(?<!gen)(image|video|kling|comfy)", re.IGNORECASE)


def test_engine_names_no_stage_no_medium_and_no_vendor() -> None:
    files = sorted(ENGINE.glob("*.py"))
    assert len(files) > 10
    named = {file.name: NAMED.findall(file.read_text(encoding="utf-8")) for file in files}
    assert {name: found for name, found in named.items() if found} == {}


@pytest.mark.parametrize("name", ["", "Image", "a.b", "1st", "a" * 32, "a-b", "a\n"])
def test_invalid_names_of_stages(name: str) -> None:
    """It becomes a part of ids, of names of activities and of files."""
    with pytest.raises(ValueError, match="not a stage name"):
        Stage(name=name, file=IMAGE.file, vendor="tts", deadline=1, give_up=1)
