"""Messages: what goes in comes out, and what does not fit is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.messages import Attempts, Job, Record, raised
from shared.jobs.states import OnVideoFailure
from shared.semaphore.messages import SlotChange
from tests.shared.standins import sample_record

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


@given(TEXT.filter(lambda text: len(text) <= 2500))
def test_any_prompt_survives_the_wire(prompt: str) -> None:
    job = GenVideoInput(prompt=prompt, style="")
    assert GenVideoInput.model_validate_json(job.model_dump_json()) == job


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
def test_what_does_not_fit(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        GenVideoInput.model_validate({"prompt": "p", "style": "", **fields})


def test_a_message_is_frozen() -> None:
    with pytest.raises(ValidationError):
        setattr(GenVideoInput(prompt="p", style=""), "prompt", "q")  # noqa: B010 - mypy would see it


def test_a_records_job_is_what_the_api_shows() -> None:
    job = sample_record("job-0123456789abcdef01234567").job()
    assert type(job) is Job
    assert set(Job.model_fields) < set(Record.model_fields)


def test_a_record_takes_over_all_that_a_job_was_started_with() -> None:
    job = GenVideoInput(
        prompt="p", style="s", tag="t", priority=1, on_video_failure=OnVideoFailure.IMAGE
    )
    record = sample_record("job-1", job)
    assert (record.prompt, record.style, record.tag, record.priority) == ("p", "s", "t", 1)
    assert record.input_of(GENVIDEO) == job


@pytest.mark.parametrize("body", [{}, {"limit": 0}, {"limit": 1001}, {"limit": None}])
def test_a_change_of_nothing_is_none(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SlotChange.model_validate(body)


def test_attempts_are_raised_and_never_lowered() -> None:
    known = Attempts(image=2, video=1)
    assert raised(known, {"video": 3}) == Attempts(image=2, video=3)
    assert raised(known, {"image": 0, "polish": 1}) == Attempts(image=2, video=1, polish=1)
