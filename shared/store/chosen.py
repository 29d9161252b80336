"""Open the store of the settings, and check that it can be relied on.

A bucket must check the conditions of writes.
"""

import asyncio
import secrets
from contextlib import suppress
from weakref import WeakSet

from shared.store.folder import Folder
from shared.store.protocol import Store, StoreAway, reason_of
from shared.store.settings import StoreSettings


def chosen_store(settings: StoreSettings) -> Store:
    """Return the store of the settings, without a call to it."""
    if not settings.elsewhere:
        return Folder(settings.data_dir)
    # Imported here, because a stack of one machine does not need the library.
    from shared.store.objects import Objects, connected

    return Objects(connected(settings))


PREFIX = "probe/"
NOT_SAFE = (
    "the store ignores {} of a write, so two writers could replace each other's record;"
    " STORE_URL needs one with conditional writes (S3, MinIO, R2)"
)
# `/readyz` must answer within this.
READY_SECONDS = 3.0
# Stores that have taken a write.
_taking: WeakSet[Store] = WeakSet()


class StoreRefused(StoreAway, code=StoreAway.code):
    """The store answers, but must not be used."""


def probe(store: Store) -> None:
    """Check that writes can be conditional; raise StoreRefused if not, or StoreAway."""
    if store.local:
        return
    key = f"{PREFIX}{secrets.token_hex(8)}"
    if not store.put_if_absent(key, b"1"):
        raise StoreAway("the store returned a value that was never written")
    try:
        held = store.read(key)
        if held is None:
            lost = "the store lost a value that was just written; use another STORE_URL"
            raise StoreRefused(lost)
        if store.put_if_absent(key, b"2"):
            raise StoreRefused(NOT_SAFE.format("If-None-Match"))
        if not store.swap(key, b"3", held.tag):
            raise StoreRefused("the store refuses a write whose condition holds (If-Match)")
        if store.swap(key, b"4", held.tag):
            raise StoreRefused(NOT_SAFE.format("If-Match"))
    finally:
        # A store that is refused may not be able to do this, either.
        with suppress(StoreAway):
            store.remove(key)


def trial(store: Store) -> None:
    """Write something and remove it; raise OSError if that fails."""
    key = f"{PREFIX}{secrets.token_hex(8)}"
    store.put_if_absent(key, b"")
    store.remove(key)


def look(store: Store) -> None:
    """Check the store with a write until one has succeeded; then only read, until a call fails."""
    if store in _taking:
        store.read(f"{PREFIX}nothing")
        return
    trial(store)
    _taking.add(store)


async def store_reason(store: Store) -> str | None:
    try:
        async with asyncio.timeout(READY_SECONDS):
            await asyncio.to_thread(look, store)
    except TimeoutError:
        reason = "the store does not answer"
    except OSError as error:
        reason = reason_of(error)
    else:
        return None
    _taking.discard(store)
    return reason
