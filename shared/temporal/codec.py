"""Encrypts what Temporal stores of a job; each payload names its key, so that keys can change."""

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from google.protobuf.message import DecodeError, Message
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    BinaryNullPayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)

from shared.errors import PayloadUnreadable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# The names that the SDK's own samples of encryption use, so that any codec server knows them.
ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
KEY_BYTES = 32
NULL = BinaryNullPayloadConverter()
NONCE_BYTES = 12


class WrittenNull(PydanticPayloadConverter):
    """Nothing is written as JSON's null: Temporal's UI takes an empty payload, which is the SDK's
    way and is read as ever, for one that it can't read."""

    def __init__(self) -> None:
        super().__init__()
        self.converters = {**self.converters, NULL.encoding.encode(): _Reads()}


class _Reads(BinaryNullPayloadConverter):
    def to_payload(self, value: Any) -> Payload | None:
        """Left to the next converter."""
        return None


class PayloadKeys(PayloadCodec):
    """AES-256-GCM with the keys of `PAYLOAD_KEY`: the first one encrypts, each one decrypts.

    Without a key nothing is encrypted, and what is encrypted is refused: a signal that can't be
    read must stop a workflow's task, not be dropped.
    """

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._keys: Mapping[str, AESGCM] = {key_id(key): _cipher(key) for key in keys}

    @classmethod
    def parse(cls, text: str) -> Self:
        """The keys in base64, separated by commas; ValueError names those that don't fit."""
        words = [word.strip() for word in text.split(",")] if text.strip() else []
        keys = [_key(word) for word in words]
        if wrong := [str(place) for place, key in enumerate(keys, 1) if key is None]:
            raise ValueError(f"not {KEY_BYTES} bytes in base64: key number {', '.join(wrong)}")
        return cls([key for key in keys if key is not None])

    @property
    def encrypts(self) -> bool:
        """Whether there is a key at all."""
        return bool(self._keys)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Each payload under the first key."""
        if not self._keys:
            return list(payloads)
        name, key = next(iter(self._keys.items()))
        return [_encrypted(payload, name, key=key) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """What was encrypted under any of the keys, and what never was; PayloadUnreadable."""
        return [self._decrypted(payload) for payload in payloads]

    def _decrypted(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        name = payload.metadata.get(KEY_ID, b"").decode(errors="replace")
        key = self._keys.get(name)
        if key is None:
            ours = ", ".join(self._keys) or "none"
            raise PayloadUnreadable(
                f"A payload is encrypted with the key {name or '?'}, and PAYLOAD_KEY holds: {ours}."
            )
        from cryptography.exceptions import InvalidTag

        nonce, sealed = payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:]
        try:
            return Payload.FromString(key.decrypt(nonce, sealed, name.encode()))
        except (InvalidTag, ValueError, DecodeError):
            raise PayloadUnreadable(
                f"A payload that names the key {name} was not encrypted with it, or was changed."
            ) from None


def _cipher(key: bytes) -> "AESGCM":
    # 9 MB of a process, which one without a key need not carry.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def key_id(key: bytes) -> str:
    """A key's name in each payload: tells which key it was, and nothing about it."""
    return hashlib.sha256(b"genvideo payload key" + key).hexdigest()[:12]


def data_converter(keys: PayloadKeys) -> DataConverter:
    """The converter of every client of ours; failures' messages and traces are encrypted, too."""
    converter = DataConverter(payload_converter_class=WrittenNull, payload_codec=keys)
    if not keys.encrypts:
        return converter
    return replace(converter, failure_converter_class=DefaultFailureConverterWithEncodedAttributes)


async def decode_all(message: Message, keys: PayloadKeys) -> None:
    """Make all that is encrypted inside a message (a history's event, say) readable, in place."""
    parts = list(_parts(message))
    payloads = [part for part in parts if isinstance(part, Payload)]
    for payload, plain in zip(payloads, await keys.decode(payloads), strict=True):
        payload.CopyFrom(plain)
    for failure in (part for part in parts if isinstance(part, Failure)):
        if failure.HasField("encoded_attributes"):
            hidden = json.loads(failure.encoded_attributes.data)
            failure.message = hidden.get("message", "")
            failure.stack_trace = hidden.get("stack_trace", "")
            failure.ClearField("encoded_attributes")


def _parts(message: Message) -> Iterator[Message]:
    """A message and all messages inside it, however deep."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for part in _each(value):
            if isinstance(part, Message):
                yield from _parts(part)


def _each(value: Any) -> Iterator[Any]:
    """A field's values: of one message itself, of a map those of its keys."""
    if isinstance(value, Message):
        yield value
    elif isinstance(value, Mapping):
        yield from value.values()
    else:
        yield from value


def _key(word: str) -> bytes | None:
    try:
        key = base64.b64decode(
            word, altchars=b"-_" if set(word) & set("-_") else None, validate=True
        )
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None


def _encrypted(payload: Payload, name: str, *, key: "AESGCM") -> Payload:
    nonce = os.urandom(NONCE_BYTES)
    sealed = key.encrypt(nonce, payload.SerializeToString(), name.encode())
    return Payload(metadata={"encoding": ENCODING, KEY_ID: name.encode()}, data=nonce + sealed)
