"""Ids: what isn't one never reaches a path, and a generation's id tells what it is of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.ids import (
    external_id,
    is_job_id,
    job_id_for_key,
    new_job_id,
    parse_external_id,
)
from shared.jobs.states import Step

JOB_ID = "job-0123456789abcdef01234567"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "job-",
        JOB_ID + "\n",
        JOB_ID[:-1],
        JOB_ID + "0",
        JOB_ID.upper(),
        f"../{JOB_ID}",
        "job-" + "g" * 24,
    ],
)
def test_what_is_no_job_id(text: str) -> None:
    assert not is_job_id(text)
    assert parse_external_id(f"{text}.video.1") is None


@given(st.text())
def test_a_keys_job_id_is_one_and_always_the_same(key: str) -> None:
    encodable = key.encode("utf-8", "replace").decode()
    assert is_job_id(job_id_for_key(encodable))
    assert job_id_for_key(encodable) == job_id_for_key(encodable)


def test_fresh_ids_differ() -> None:
    assert is_job_id(new_job_id())
    assert new_job_id() != new_job_id()


@given(st.sampled_from(Step), st.integers(1, 99))
def test_a_generations_id_tells_what_it_is_of(step: Step, attempt: int) -> None:
    assert parse_external_id(external_id(JOB_ID, step, attempt)) == (JOB_ID, step, attempt)


@pytest.mark.parametrize("tail", [".audio.1", ".video.0", ".video.100", ".video.1\n", ".video", ""])
def test_what_is_no_generation(tail: str) -> None:
    assert parse_external_id(JOB_ID + tail) is None
