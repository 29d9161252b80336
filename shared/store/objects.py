"""An object store by `obstore`: S3 and compatible ones, Google's, Azure's.

Writes are conditional, and the store checks the condition. So of two writers one fails.
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

from shared.store.chosen import StoreRefused, probe
from shared.store.protocol import Held, Listed, StoreAway
from shared.store.settings import StoreSettings

# One call with all its retries, so that the caller can answer in time.
SECONDS, TRIED_SECONDS = 10, 10
CONNECT_SECONDS = 3


if TYPE_CHECKING:
    from obstore import UpdateVersion

Connection = S3Store | GCSStore | AzureStore


def connected(settings: StoreSettings) -> Connection:
    """Return a connection that sends nothing yet; raise StoreRefused, without any part of a key."""
    scheme, _, place = settings.store_url.partition("://")
    container, _, prefix = place.strip("/").partition("/")
    endpoint = str(settings.store_endpoint).rstrip("/") if settings.store_endpoint else None
    key, secret = (
        each.get_secret_value() if each else None
        for each in (settings.store_key, settings.store_secret)
    )
    names: dict[str, str | None]
    kind, names = {
        "s3": (
            S3Store,
            {
                "access_key_id": key,
                "secret_access_key": secret,
                "endpoint": endpoint,
                "region": settings.store_region,
            },
        ),
        "gs": (GCSStore, {"service_account_key": secret}),
        "az": (AzureStore, {"account_name": key, "account_key": secret, "endpoint": endpoint}),
    }[scheme]
    # The library takes what has no value here from its environment.
    config: Any = {name: value for name, value in names.items() if value is not None}
    try:
        made: Connection = kind(
            container,
            prefix=prefix or None,
            config=config,
            client_options={
                "timeout": timedelta(seconds=SECONDS),
                "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                "allow_http": bool(endpoint and endpoint.startswith("http://")),
            },
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=TRIED_SECONDS)},
        )
        return made
    except BaseError:
        raise StoreRefused("STORE_KEY or STORE_SECRET is not valid for such a store") from None


P = ParamSpec("P")
T = TypeVar("T")

# The answers of S3, Google and Azure if the bucket itself does not exist.
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound")
# An error's text has the store's whole answer, which may name keys.
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_STATUS = re.compile(r"status (?:code )?(\d{3})|non-2xx status code: (\d{3})")


class Objects:
    """Objects below the prefix of a connection. Methods are documented in the protocol.

    The first write under a condition checks that the store honours conditions, unless it is
    `proven`.
    """

    local = False

    def __init__(self, connection: Connection, *, proven: bool = False) -> None:
        self._connection = connection
        self._proven = proven

    def path(self, key: str) -> None:
        return

    def read(self, key: str) -> Held | None:
        with suppress(FileNotFoundError):
            found = _asked(obstore.get, self._connection, key)
            data = _asked(found.bytes)
            return Held(bytes(data), _tag(found.meta["e_tag"], found.meta["version"]))
        return None

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self._prove()
        try:
            _asked(obstore.put, self._connection, key, data, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def swap(self, key: str, data: bytes, tag: str) -> bool:
        self._prove()
        try:
            _asked(obstore.put, self._connection, key, data, mode=_version(tag))
        except (PreconditionError, AlreadyExistsError, FileNotFoundError):
            return False
        return True

    def _prove(self) -> None:
        # Two threads that check at once do no harm.
        if not self._proven:
            probe(Objects(self._connection, proven=True))
            self._proven = True

    def put(self, key: str, data: bytes) -> None:
        _asked(obstore.put, self._connection, key, data)

    def keep(self, key: str, file: Path) -> None:
        """Upload a large file in parts, then remove it."""
        kind = mimetypes.guess_type(key)[0] or "application/octet-stream"
        _asked(obstore.put, self._connection, key, file, attributes={"Content-Type": kind})
        file.unlink()

    def remove(self, key: str) -> None:
        with suppress(FileNotFoundError):
            _asked(obstore.delete, self._connection, key)

    def remove_below(self, prefix: str) -> None:
        for each in list(self.list(prefix)):
            self.remove(each.key)

    def range(self, key: str, start: int, end: int) -> bytes:
        return bytes(_asked(obstore.get_range, self._connection, key, start=start, end=end))

    def list(self, prefix: str) -> Iterator[Listed]:
        pages = iter(obstore.list(self._connection, prefix.removesuffix("/")))
        while (page := _asked(lambda: next(pages, None))) is not None:
            for each in page:
                tag = _tag(each["e_tag"], each["version"])
                yield Listed(each["path"], each["size"], tag, each["last_modified"])


def _tag(e_tag: str | None, version: str | None) -> str:
    return f"{version or ''} {e_tag or ''}"


def _version(tag: str) -> UpdateVersion:
    """Return the version that the store compares: Google's generation number, or the tag."""
    version, _, e_tag = tag.partition(" ")
    there: UpdateVersion = {}
    if version:
        there["version"] = version
    if e_tag:
        there["e_tag"] = e_tag
    return there


def _asked(call: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """Raise StoreAway, without possible secrets, for any error but *not found* and a failed
    condition."""
    try:
        return call(*given, **named)
    except (AlreadyExistsError, PreconditionError):
        raise
    except (BaseError, FileNotFoundError) as error:
        raise _away(error) from None


def _away(error: Exception) -> Exception:
    """Return *not found* unchanged, unless the whole bucket is missing."""
    missing = isinstance(error, FileNotFoundError)
    if missing and not any(code in str(error) for code in _NO_BUCKET):
        return error
    return StoreAway(reason_of(error))


def reason_of(error: Exception) -> str:
    """Return why a call failed, in our words and with the store's code."""
    text = str(error)
    if found := _CODE.search(text):
        return f"the store answers {found[1]}"
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return "the store refuses our key"
    if found := _STATUS.search(text):
        return f"the store answers {found[1] or found[2]}"
    return "the store does not answer"
