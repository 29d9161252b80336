"""Ids of jobs and generations, the tokens that are derived from them, and the states of a job."""

import hmac
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.genvideo import GENVIDEO
from shared.jobs.ids import (
    external_id,
    is_job_id,
    job_id_for_key,
    new_job_id,
    parse_external_id,
)
from shared.jobs.states import ALLOWED, END_STATES, RETRYABLE_STATES, Status, may_follow
from shared.jobs.tokens import callback_token, callback_url, operator_key, token_fits

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


@given(st.sampled_from(GENVIDEO.names), st.integers(1, 99))
def test_a_generations_id_tells_what_it_is_of(step: str, attempt: int) -> None:
    assert parse_external_id(external_id(JOB_ID, step, attempt)) == (JOB_ID, step, attempt)


@pytest.mark.parametrize("tail", [".Audio.1", ".video.0", ".video.100", ".video.1\n", ".video", ""])
def test_what_is_no_generation(tail: str) -> None:
    assert parse_external_id(JOB_ID + tail) is None


SECRET = "a-secret-of-32-characters-or-more"
OLD = "an-old-one-of-32-characters-as-well"
TASK = "job-0123456789abcdef01234567.video.1"


def test_a_token_fits_its_own_task_and_secret_only() -> None:
    token = callback_token(SECRET, TASK)
    assert token_fits(SECRET, TASK, token)
    assert not token_fits(SECRET, TASK.replace(".1", ".2"), token)
    assert not token_fits(SECRET[::-1], TASK, token)


@pytest.mark.parametrize("wrong", ["", "0" * 64, "é", "\ud800", "🦆"])
def test_a_wrong_token_is_refused_and_breaks_nothing(wrong: str) -> None:
    assert not token_fits(SECRET, TASK, wrong)


@given(st.data())
def test_a_single_digit_makes_the_difference(data: st.DataObject) -> None:
    token = callback_token(SECRET, TASK)
    place = data.draw(st.integers(0, len(token) - 1))
    digit = data.draw(st.sampled_from("0123456789abcdef").filter(lambda it: it != token[place]))
    assert not token_fits(SECRET, TASK, token[:place] + digit + token[place + 1 :])


@pytest.mark.parametrize("base", ["http://callback:8001", "http://callback:8001/"])
def test_the_address_names_task_and_token(base: str) -> None:
    parts = urlsplit(callback_url(base, SECRET, TASK))
    assert (parts.netloc, parts.path) == ("callback:8001", "/callback/kling")
    assert parse_qs(parts.query) == {"task": [TASK], "token": [callback_token(SECRET, TASK)]}
    assert SECRET not in parts.query


def test_the_first_of_several_makes_and_each_is_recognized() -> None:
    both = f"{SECRET},{OLD}"
    assert callback_token(both, TASK) == callback_token(SECRET, TASK)
    assert token_fits(both, TASK, callback_token(OLD, TASK))
    assert not token_fits(SECRET, TASK, callback_token(OLD, TASK))
    assert not token_fits(both, TASK, callback_token(both[::-1], TASK))


def test_the_operators_key_is_no_token_no_secret_and_changes_with_the_first() -> None:
    key = operator_key(f"{SECRET},{OLD}")
    assert key == operator_key(SECRET)
    assert key != operator_key(OLD)
    assert SECRET not in key
    assert not token_fits(SECRET, TASK, key)
    # One key's holder can't make tokens of the other.
    assert not token_fits(SECRET, TASK, callback_token(key, TASK))
    assert not token_fits(
        SECRET, TASK, hmac.new(bytes.fromhex(key), TASK.encode(), "sha256").hexdigest()
    )


@pytest.mark.parametrize("end", sorted(END_STATES))
def test_an_end_is_never_left(end: Status) -> None:
    assert end.ended
    # What a vendor had accepted may be added behind it.
    assert [after for after in Status if may_follow(end, after)] == [end]


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_an_open_state_leads_to_an_end(status: Status) -> None:
    assert not status.ended
    assert ALLOWED[status] & END_STATES
    assert may_follow(status, status)


def test_every_state_is_decided_and_success_is_not_run_again() -> None:
    assert set(ALLOWED) == set(Status)
    assert END_STATES - {Status.SUCCEEDED} == RETRYABLE_STATES
    assert not may_follow(Status.QUEUED, Status.SUCCEEDED)
