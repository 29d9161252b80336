"""An object store with S3's API, by `obstore`.

Writes are conditional, and the store checks the condition. So of two writers one fails.
"""

import mimetypes
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from shared.store.protocol import Held, Listed, StoreAway
from shared.store.settings import StoreSettings

# One call with all its retries, so that the caller can answer in time.
SECONDS, TRIED_SECONDS = 10, 10
CONNECT_SECONDS = 3


def connected(settings: StoreSettings) -> S3Store:
    """Return a connection that sends nothing yet."""
    bucket, _, prefix = settings.store_url.removeprefix("s3://").strip("/").partition("/")
    endpoint = str(settings.store_endpoint or "").rstrip("/")
    key, secret = settings.store_key, settings.store_secret
    given = {
        "access_key_id": key and key.get_secret_value(),
        "secret_access_key": secret and secret.get_secret_value(),
        "endpoint": endpoint,
        "region": settings.store_region,
    }
    # The library takes what has no value here from its environment.
    config: Any = {name: value for name, value in given.items() if value}
    return S3Store(
        bucket,
        prefix=prefix or None,
        config=config,
        client_options={
            "timeout": timedelta(seconds=SECONDS),
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "allow_http": endpoint.startswith("http://"),
        },
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=TRIED_SECONDS)},
    )


P = ParamSpec("P")
T = TypeVar("T")

# The answer if the bucket itself does not exist.
_NO_BUCKET = "NoSuchBucket"
# An error's text has the store's whole answer, which may name keys.
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_STATUS = re.compile(r"status (?:code )?(\d{3})|non-2xx status code: (\d{3})")


class Objects:
    """Objects below the prefix of a connection. Methods are documented in the protocol."""

    local = False

    def __init__(self, connection: S3Store) -> None:
        self._connection = connection

    def read(self, key: str) -> Held | None:
        with suppress(FileNotFoundError):
            found = _asked(obstore.get, self._connection, key)
            data = _asked(found.bytes)
            return Held(bytes(data), found.meta["e_tag"] or "")
        return None

    def put_if_absent(self, key: str, data: bytes) -> bool:
        try:
            _asked(obstore.put, self._connection, key, data, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def swap(self, key: str, data: bytes, tag: str) -> bool:
        try:
            _asked(obstore.put, self._connection, key, data, mode={"e_tag": tag})
        except (PreconditionError, AlreadyExistsError, FileNotFoundError):
            return False
        return True

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
                tag, modified = each["e_tag"] or "", each["last_modified"]
                yield Listed(each["path"], each["size"], tag, modified)


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
    if missing and _NO_BUCKET not in str(error):
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
