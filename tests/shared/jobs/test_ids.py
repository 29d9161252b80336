"""Ids of jobs and generations, the tokens that are derived from them, and the states of a job."""

import hmac
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.jobs.genvideo import GENVIDEO
from shared.jobs.ids import external_id, is_job_id, job_id_for_key, new_job_id, parse_external_id
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
def test_invalid_job_ids(text: str) -> None:
    assert not is_job_id(text)
    assert parse_external_id(f"{text}.video.1") is None


def test_id_is_new_or_that_of_its_key() -> None:
    assert is_job_id(new_job_id())
    assert new_job_id() != new_job_id()
    for key in ("order-1", "", "ключ", "x" * 1000):
        assert is_job_id(job_id_for_key(key))
        assert job_id_for_key(key) == job_id_for_key(key) != job_id_for_key(key + "x")


@pytest.mark.parametrize("step", GENVIDEO.names)
def test_id_of_a_generation_is_parsed(step: str) -> None:
    for attempt in (1, 9, 10, 99):
        assert parse_external_id(external_id(JOB_ID, step, attempt)) == (JOB_ID, step, attempt)


@pytest.mark.parametrize("tail", [".Audio.1", ".video.0", ".video.100", ".video.1\n", ".video", ""])
def test_invalid_ids_of_generations(tail: str) -> None:
    assert parse_external_id(JOB_ID + tail) is None


SECRET = "a-secret-of-32-characters-or-more"
OLD = "an-old-one-of-32-characters-as-well"
TASK = "job-0123456789abcdef01234567.video.1"


def test_token_fits_only_its_own_task_and_secret() -> None:
    token = callback_token(SECRET, TASK)
    assert token_fits(SECRET, TASK, token)
    assert not token_fits(SECRET, TASK.replace(".1", ".2"), token)
    assert not token_fits(SECRET[::-1], TASK, token)


@pytest.mark.parametrize("wrong", ["", "0" * 64, "é", "\ud800", "🦆"])
def test_wrong_token_is_refused_without_an_error(wrong: str) -> None:
    assert not token_fits(SECRET, TASK, wrong)


@pytest.mark.parametrize("base", ["http://callback:8001", "http://callback:8001/"])
def test_address_has_task_and_token(base: str) -> None:
    parts = urlsplit(callback_url(base, SECRET, TASK))
    assert (parts.netloc, parts.path) == ("callback:8001", "/callback/kling")
    assert parse_qs(parts.query) == {"task": [TASK], "token": [callback_token(SECRET, TASK)]}
    assert SECRET not in parts.query


def test_first_secret_signs_and_each_is_accepted() -> None:
    both = f"{SECRET},{OLD}"
    assert callback_token(both, TASK) == callback_token(SECRET, TASK)
    assert token_fits(both, TASK, callback_token(OLD, TASK))
    assert not token_fits(SECRET, TASK, callback_token(OLD, TASK))
    assert not token_fits(both, TASK, callback_token(both[::-1], TASK))


def test_operators_key_is_no_token_and_no_secret_and_changes_with_the_first() -> None:
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
