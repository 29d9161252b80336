"""What Temporal stores, encrypted: keys in turn, one error for what can't be read."""

import base64
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError

from shared.errors import PayloadUnreadable
from shared.temporal.codec import ENCODING, KEY_ID, PayloadKeys, data_converter, decode_all

OLD, NEW, OTHER = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2, 3))
PROMPT = "a prompt that nobody else may read"


async def sealed(keys: str, value: Any = PROMPT) -> Payload:
    [payload] = await data_converter(PayloadKeys.parse(keys)).encode([value])
    return payload


async def opened(keys: str, payload: Payload) -> Any:
    [value] = await data_converter(PayloadKeys.parse(keys)).decode([payload], [str])
    return value


async def test_stored_payload_shows_only_the_keys_name() -> None:
    payload = await sealed(NEW)
    assert payload.metadata["encoding"] == ENCODING
    assert set(payload.metadata) == {"encoding", KEY_ID}
    assert b"prompt" not in payload.SerializeToString()
    assert await opened(NEW, payload) == PROMPT


async def test_same_text_never_looks_the_same() -> None:
    assert (await sealed(NEW)).data != (await sealed(NEW)).data


async def test_first_key_encrypts_and_all_decrypt() -> None:
    old = await sealed(OLD)
    both = f"{NEW}, {OLD}"
    new = await sealed(both)
    assert old.metadata[KEY_ID] != new.metadata[KEY_ID]
    assert await opened(both, old) == await opened(both, new) == PROMPT
    assert await opened(NEW, new) == PROMPT


async def test_unencrypted_payload_can_be_read() -> None:
    plain = await sealed("")
    assert plain.metadata["encoding"] == b"json/plain"
    assert await opened(NEW, plain) == PROMPT


@pytest.mark.parametrize("keys", ["", OTHER])
async def test_unknown_key_is_named(keys: str) -> None:
    payload = await sealed(NEW)
    with pytest.raises(PayloadUnreadable, match=payload.metadata[KEY_ID].decode()) as raised:
        await opened(keys, payload)
    assert "PAYLOAD_KEY" in raised.value.message


@pytest.mark.parametrize("place", [0, 12, -1])
async def test_changed_payload_is_refused(place: int) -> None:
    payload = await sealed(NEW)
    data = bytearray(payload.data)
    data[place] ^= 1
    payload.data = bytes(data)
    with pytest.raises(PayloadUnreadable, match="was changed"):
        await opened(NEW, payload)


async def test_payload_under_another_keys_name_is_refused() -> None:
    payload, other = await sealed(NEW), await sealed(OLD)
    payload.metadata[KEY_ID] = other.metadata[KEY_ID]
    with pytest.raises(PayloadUnreadable, match="was not encrypted with it"):
        await opened(f"{NEW},{OLD}", payload)


@pytest.mark.parametrize(
    "wrong", ["no base64!", base64.b64encode(b"too short").decode(), NEW + "=", "\u00e9"]
)
def test_wrong_keys_are_named_only_by_their_number(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"key number 2, 4$") as raised:
        PayloadKeys.parse(",".join([NEW, wrong, OLD, wrong]))
    assert wrong not in str(raised.value)


@pytest.mark.parametrize("data", [b"", b"short"])
async def test_truncated_payload_is_refused(data: bytes) -> None:
    payload = await sealed(NEW)
    payload.data = data
    with pytest.raises(PayloadUnreadable):
        await opened(NEW, payload)


def test_either_alphabet_of_base64_is_accepted() -> None:
    key = b"\xfb\xff" * 16
    urlsafe, plain = base64.urlsafe_b64encode(key).decode(), base64.b64encode(key).decode()
    assert PayloadKeys.parse(urlsafe).encrypts
    assert PayloadKeys.parse(plain).encrypts
    assert not PayloadKeys.parse(" ").encrypts


async def test_message_of_a_failure_is_encrypted() -> None:
    keys = PayloadKeys.parse(NEW)
    event = HistoryEvent()
    failure: Failure = event.activity_task_failed_event_attributes.failure
    error = ApplicationError("the vendor says: " + PROMPT, PROMPT, type="refused_for_good")
    await data_converter(keys).encode_failure(error, failure)
    assert PROMPT.encode() not in event.SerializeToString()
    assert failure.application_failure_info.type == "refused_for_good"

    await decode_all(event, keys)

    assert failure.message == "the vendor says: " + PROMPT
    assert PROMPT.encode() in failure.application_failure_info.details.payloads[0].data


async def test_null_is_written_and_empty_payloads_are_read() -> None:
    ours = data_converter(PayloadKeys())
    [payload] = await ours.encode([None])
    before = await pydantic_data_converter.encode([None])

    assert (payload.metadata["encoding"], payload.data) == (b"json/plain", b"null")
    assert before[0].data == b""
    for payloads in (before, [payload]):
        assert await ours.decode(payloads) == [None]
    assert await pydantic_data_converter.decode([payload]) == [None]
    assert (await ours.encode([b"bytes"]))[0].metadata["encoding"] == b"binary/plain"
