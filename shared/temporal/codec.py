"""Encrypt payloads; each one names its key, so that keys can be rotated."""

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

# The names of the SDK's encryption samples, so that any codec server knows them.
ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
KEY_BYTES = 32
NULL = BinaryNullPayloadConverter()
NONCE_BYTES = 12


class WrittenNull(PydanticPayloadConverter):
    """Write None as JSON null, because the Temporal UI can't read the SDK's empty payload.

    Empty payloads can still be read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.converters = {**self.converters, NULL.encoding.encode(): _Reads()}


class _Reads(BinaryNullPayloadConverter):
    def to_payload(self, value: Any) -> Payload | None:
        """Leave the value to the next converter."""
        return None


class PayloadKeys(PayloadCodec):
    """AES-256-GCM with the keys of `PAYLOAD_KEY`: the first one encrypts, all decrypt.

    Without a key nothing is encrypted, and encrypted payloads are refused: a signal that can't be
    read must fail the workflow task, not be dropped.
    """

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._keys: Mapping[str, AESGCM] = {key_id(key): _cipher(key) for key in keys}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse base64 keys, separated by commas; raise a ValueError that names the invalid
        ones."""
        words = [word.strip() for word in text.split(",")] if text.strip() else []
        keys = [_key(word) for word in words]
        if wrong := [str(place) for place, key in enumerate(keys, 1) if key is None]:
            raise ValueError(f"not {KEY_BYTES} bytes in base64: key number {', '.join(wrong)}")
        return cls([key for key in keys if key is not None])

    @property
    def encrypts(self) -> bool:
        return bool(self._keys)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        if not self._keys:
            return list(payloads)
        name, key = next(iter(self._keys.items()))
        encrypted = []
        for payload in payloads:
            nonce = os.urandom(NONCE_BYTES)
            sealed = key.encrypt(nonce, payload.SerializeToString(), name.encode())
            metadata = {"encoding": ENCODING, KEY_ID: name.encode()}
            encrypted.append(Payload(metadata=metadata, data=nonce + sealed))
        return encrypted

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt payloads; pass on those that were never encrypted; raise PayloadUnreadable."""
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
    # Imported here, because it takes 9 MB that a process without a key saves.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def key_id(key: bytes) -> str:
    """Return a key's name: it identifies the key, and reveals nothing about it."""
    return hashlib.sha256(b"genvideo payload key" + key).hexdigest()[:12]


def data_converter(keys: PayloadKeys) -> DataConverter:
    """Return the converter of every client; it encrypts failures' messages and traces, too."""
    converter = DataConverter(payload_converter_class=WrittenNull, payload_codec=keys)
    if not keys.encrypts:
        return converter
    return replace(converter, failure_converter_class=DefaultFailureConverterWithEncodedAttributes)


async def decode_all(message: Message, keys: PayloadKeys) -> None:
    """Decrypt everything inside a message, such as a history's event, in place."""
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
    yield message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        several = value.values() if isinstance(value, Mapping) else value
        for part in [value] if isinstance(value, Message) else several:
            if isinstance(part, Message):
                yield from _parts(part)


def _key(word: str) -> bytes | None:
    try:
        key = base64.b64decode(
            word, altchars=b"-_" if set(word) & set("-_") else None, validate=True
        )
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None
