"""Messages: what does not fit is refused, and paid attempts stay counted."""

import pytest
from pydantic import ValidationError

from shared.jobs.genvideo import GenVideoInput
from shared.jobs.messages import Attempts, raised


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": ""},
        {"prompt": "x" * 2501},
        {"prompt": "a\0"},
        {"style": "\n"},
        {"style": "x" * 201},
        {"tag": "\x7f"},
        {"tag": "x" * 201},
        {"priority": True},
        {"priority": 6},
    ],
)
def test_invalid_messages(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        GenVideoInput.model_validate({"prompt": "p", "style": "", **fields})


def test_attempts_are_raised_and_never_lowered() -> None:
    known = Attempts(image=2, video=1)
    assert raised(known, {"video": 3}) == Attempts(image=2, video=3)
    assert raised(known, {"image": 0, "polish": 1}) == Attempts(image=2, video=1, polish=1)
