"""Callback tokens: one a task, derived from the secret, compared whole."""

import hmac
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.tokens import callback_token, callback_url, operator_key, token_fits

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
    # Whoever has the one key can make nothing of the other's.
    assert not token_fits(SECRET, TASK, callback_token(key, TASK))
    assert not token_fits(
        SECRET, TASK, hmac.new(bytes.fromhex(key), TASK.encode(), "sha256").hexdigest()
    )
