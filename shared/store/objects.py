"""An object store: S3 and what speaks like it, Google's, Azure's; `obstore` speaks to each.

What a write takes the place of is a condition that the store itself checks, so that of two writers
one is told that it came too late.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import AzureStore, GCSStore, S3Store
from pydantic import SecretStr

from shared.store.chosen import StoreRefused, probe
from shared.store.protocol import Held, Listed, StoreAway
from shared.store.settings import StoreSettings

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

# One request, and all its repetitions: whoever asks has something to answer by then.
SECONDS, TRIED_SECONDS = 10, 10
CONNECT_SECONDS = 3


def connected(settings: StoreSettings) -> Connection:
    """The connection; nothing is sent before it is used. StoreRefused, without a word of a key."""
    try:
        return _connection(settings)
    except BaseError:
        raise StoreRefused("STORE_KEY or STORE_SECRET is none that such a store takes") from None


def _connection(settings: StoreSettings) -> Connection:
    scheme, _, place = settings.store_url.partition("://")
    container, _, prefix = place.strip("/").partition("/")
    endpoint = str(settings.store_endpoint).rstrip("/") if settings.store_endpoint else None
    key, secret = _plain(settings.store_key), _plain(settings.store_secret)
    client, retries = _client(endpoint), _retries()
    if scheme == "s3":
        return S3Store(
            container,
            prefix=prefix or None,
            client_options=client,
            retry_config=retries,
            config=_given(access_key_id=key, secret_access_key=secret, endpoint=endpoint),
            region=settings.store_region,
        )
    if scheme == "gs":
        return GCSStore(
            container,
            prefix=prefix or None,
            client_options=client,
            retry_config=retries,
            config=_given(service_account_key=secret),
        )
    return AzureStore(
        container,
        prefix=prefix or None,
        client_options=client,
        retry_config=retries,
        config=_given(account_name=key, account_key=secret, endpoint=endpoint),
    )


def _client(endpoint: str | None) -> ClientConfig:
    return {
        "timeout": timedelta(seconds=SECONDS),
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "allow_http": bool(endpoint and endpoint.startswith("http://")),
    }


def _retries() -> RetryConfig:
    return {"max_retries": 3, "retry_timeout": timedelta(seconds=TRIED_SECONDS)}


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _given(**config: str | None) -> Any:
    """Those that are set; the library looks in its own environment for the others."""
    return {name: value for name, value in config.items() if value is not None}


if TYPE_CHECKING:
    from obstore import UpdateVersion

Connection = S3Store | GCSStore | AzureStore
P = ParamSpec("P")
T = TypeVar("T")

# What S3 and Google, and what Azure says where there is no such place at all.
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound")
# An error's text carries the store's whole answer, and that may name keys.
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_STATUS = re.compile(r"status (?:code )?(\d{3})|non-2xx status code: (\d{3})")


class Objects:
    """Objects below the prefix of a connection."""

    local = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def path(self, key: str) -> None:
        """None is ours."""
        return

    def read(self, key: str) -> Held | None:
        """As the protocol says."""
        with suppress(FileNotFoundError):
            found = _asked(obstore.get, self._connection, key)
            data = _asked(found.bytes)
            return Held(bytes(data), _tag(found.meta["e_tag"], found.meta["version"]))
        return None

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """As the protocol says."""
        try:
            _written(obstore.put, self._connection, key, data, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def swap(self, key: str, data: bytes, tag: str) -> bool:
        """As the protocol says."""
        try:
            _written(obstore.put, self._connection, key, data, mode=_version(tag))
        except (PreconditionError, AlreadyExistsError, FileNotFoundError):
            return False
        return True

    def put(self, key: str, data: bytes) -> None:
        """As the protocol says."""
        _written(obstore.put, self._connection, key, data)

    def keep(self, key: str, file: Path) -> None:
        """In parts, where it is large; the file is gone once it is there."""
        kind = mimetypes.guess_type(key)[0] or "application/octet-stream"
        _written(obstore.put, self._connection, key, file, attributes={"Content-Type": kind})
        file.unlink()

    def remove(self, key: str) -> None:
        """As the protocol says."""
        with suppress(FileNotFoundError):
            _asked(obstore.delete, self._connection, key)

    def remove_below(self, prefix: str) -> None:
        """As the protocol says."""
        for each in list(self.list(prefix)):
            self.remove(each.key)

    def range(self, key: str, start: int, end: int) -> bytes:
        """As the protocol says."""
        return bytes(_asked(obstore.get_range, self._connection, key, start=start, end=end))

    def list(self, prefix: str) -> Iterator[Listed]:
        """As the protocol says."""
        pages = iter(obstore.list(self._connection, prefix.removesuffix("/")))
        while (page := _asked(lambda: next(pages, None))) is not None:
            for each in page:
                tag = _tag(each["e_tag"], each["version"])
                yield Listed(each["path"], each["size"], tag, each["last_modified"])

    def presigned(self, key: str, seconds: float) -> str:
        """As the protocol says; a machine without a key has another one sign it."""
        return _asked(obstore.sign, self._connection, "GET", key, timedelta(seconds=seconds))


def _tag(e_tag: str | None, version: str | None) -> str:
    return f"{version or ''} {e_tag or ''}"


def _version(tag: str) -> UpdateVersion:
    """What a store is to compare: Google's by its number, all others by their own tag."""
    version, _, e_tag = tag.partition(" ")
    there: UpdateVersion = {}
    if version:
        there["version"] = version
    if e_tag:
        there["e_tag"] = e_tag
    return there


def _written(call: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """As `_asked`; a condition that doesn't hold is the caller's."""
    try:
        return call(*given, **named)
    except (AlreadyExistsError, PreconditionError):
        raise
    except (BaseError, FileNotFoundError) as error:
        raise _away(error) from None


def _asked(call: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """StoreAway, without a word that may be a secret, for all but what is not there."""
    try:
        return call(*given, **named)
    except (BaseError, FileNotFoundError) as error:
        raise _away(error) from None


def _away(error: Exception) -> Exception:
    """What is not there stays that, unless it is the whole bucket."""
    missing = isinstance(error, FileNotFoundError)
    if missing and not any(code in str(error) for code in _NO_BUCKET):
        return error
    return StoreAway(reason_of(error))


def reason_of(error: Exception) -> str:
    """Why a call failed, in our words and the store's code."""
    text = str(error)
    if found := _CODE.search(text):
        return f"the store answers {found[1]}"
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return "the store refuses our key"
    if found := _STATUS.search(text):
        return f"the store answers {found[1] or found[2]}"
    return "the store does not answer"


class Proven(Objects):
    """Writes with conditions once it was seen that the store checks them."""

    _proven = False

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """As the protocol says; StoreRefused."""
        self._prove()
        return super().put_if_absent(key, data)

    def swap(self, key: str, data: bytes, tag: str) -> bool:
        """As the protocol says; StoreRefused."""
        self._prove()
        return super().swap(key, data, tag)

    def _prove(self) -> None:
        # Two that do it at once do no harm.
        if not self._proven:
            probe(Objects(self._connection))
            self._proven = True
