"""Keys: a JWT that others can read, kept for its time, and renewed by the vendor's clock."""

from email.utils import formatdate
from typing import Any

import httpx
import jwt
import pytest

from services.worker.vendors.kling.keys import LIFE_SECONDS, REST_SECONDS, Keys
from shared.errors import RefusedForGood
from tests.services.worker.vendors.kling.clients import PATH, settings_of, submit
from tests.services.worker.vendors.stub import Answer, StubVendor, reply

SUBMIT = f"POST {PATH}"
SECRET = "a-secret-key-of-thirty-two-bytes!"
PAIR: dict[str, Any] = {"kling_access_key": "access", "kling_secret_key": SECRET}
TAKEN = reply(code=0, data={"task_id": "831"})


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def claims(header: str) -> dict[str, object]:
    token = header.removeprefix("Bearer ")
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    found: dict[str, object] = jwt.decode(
        token, SECRET, algorithms=["HS256"], options={"verify_exp": False, "verify_nbf": False}
    )
    return found


def refused(code: int, date: str | None = None) -> Answer:
    headers = {"Date": date} if date else {}
    return lambda _: httpx.Response(401, json={"code": code, "message": "no"}, headers=headers)


def test_token_is_as_documented() -> None:
    keys = Keys(settings_of(**PAIR), now=(clock := Clock()))
    now = int(clock.now)
    assert claims(keys.header()) == {"iss": "access", "exp": now + 1800, "nbf": now - 5}


def test_token_is_kept_until_it_is_old_or_the_clock_was_set_back() -> None:
    keys = Keys(settings_of(**PAIR), now=(clock := Clock()))
    first = keys.header()
    clock.now += LIFE_SECONDS - REST_SECONDS - 1
    assert keys.header() == first
    clock.now += 1
    assert (second := keys.header()) != first
    clock.now -= 60
    assert keys.header() != second


@pytest.mark.parametrize("ahead", [-7200, 7200])
def test_token_follows_the_vendors_clock(ahead: int) -> None:
    keys = Keys(settings_of(**PAIR), now=(clock := Clock()))
    theirs = int(clock.now) + ahead
    assert keys.renew(keys.header(), formatdate(theirs, usegmt=True))
    assert claims(keys.header())["nbf"] == theirs - 5
    clock.now += 1500
    assert claims(keys.header())["nbf"] == theirs + 1500 - 5


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_without_a_date_the_token_follows_our_clock(date: str) -> None:
    keys = Keys(settings_of(**PAIR), now=(clock := Clock()))
    first = keys.header()
    clock.now += 60
    assert keys.renew(first, date)
    assert claims(keys.header())["nbf"] == int(clock.now) - 5


def test_refused_calls_share_one_new_token() -> None:
    keys = Keys(settings_of(**PAIR), now=(clock := Clock()))
    old = keys.header()
    clock.now += 60
    keys.renew(old, "")
    new = keys.header()
    clock.now += 60
    assert keys.renew(old, "")
    assert keys.header() == new


@pytest.mark.parametrize("code", [1003, 1004])
async def test_call_is_repeated_once_with_a_new_token(code: int) -> None:
    date = formatdate(1_700_000_000, usegmt=True)
    vendor = StubVendor({SUBMIT: [refused(code, date), TAKEN]})
    assert await submit(vendor, **PAIR) == "831"
    first, second = (each.headers["authorization"] for each in vendor.requests)
    assert first != second
    assert claims(second)["nbf"] == 1_700_000_000 - 5
    assert vendor.body(0) == vendor.body(1)


async def test_token_is_renewed_once() -> None:
    vendor = StubVendor({SUBMIT: [refused(1004)]})
    with pytest.raises(RefusedForGood, match="clock"):
        await submit(vendor, **PAIR)
    assert vendor.asked == [SUBMIT] * 2


async def test_static_key_is_not_renewed() -> None:
    vendor = StubVendor({SUBMIT: [refused(1004)]})
    with pytest.raises(RefusedForGood):
        await submit(vendor)
    assert vendor.asked == [SUBMIT]
