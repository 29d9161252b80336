"""Results on our disk: fetched from allowed hosts only, checked, whole; never a bad file."""

import asyncio
import contextlib
import hashlib
import secrets
from pathlib import Path
from typing import BinaryIO

import httpx
import structlog

from services.worker import media
from services.worker.policies import FETCH_PAUSE_SECONDS, FETCH_TRIES
from services.worker.settings import host_of
from shared.assets import MEDIA_TYPES, asset_path
from shared.errors import BadResult, StorageFailed
from shared.messages import Asset
from shared.states import Step

log = structlog.get_logger(__name__)

SCHEMES = ("http://", "https://")


class Storage:
    """Copies vendors' results to `<data>/assets`."""

    def __init__(
        self, http: httpx.AsyncClient, *, data_dir: Path, hosts: frozenset[str], max_bytes: int
    ) -> None:
        self._http = http
        self._data_dir = data_dir
        self._hosts = hosts
        self._max_bytes = max_bytes

    async def store(self, url: str, job_id: str, *, step: Step) -> Asset:
        """Fetch, check and keep one result.

        BadResult: the file is not what it should be, after FETCH_TRIES; StorageFailed: the
        network or our disk, and trying again can help.
        """
        if not url.startswith(SCHEMES) or host_of(url) not in self._hosts:
            raise BadResult(f"The result's address at {host_of(url)!r} is not an allowed one.")
        for left in reversed(range(FETCH_TRIES)):
            try:
                return await self._store_once(url, asset_path(self._data_dir, job_id, step), step)
            except BadResult as error:
                if left == 0:
                    raise
                log.warning("bad result, fetching again", step=step, reason=error.message)
                await asyncio.sleep(FETCH_PAUSE_SECONDS)
        raise AssertionError("unreachable")

    async def _store_once(self, url: str, path: Path, step: Step) -> Asset:
        partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
            size, digest = await self._download(url, partial)
            await asyncio.to_thread(media.check, partial, step)
            await asyncio.to_thread(partial.replace, path)
        except OSError as error:
            raise StorageFailed(f"Our disk: {error.strerror or error}") from None
        finally:
            await asyncio.to_thread(_forget, partial)
        return Asset(size=size, sha256=digest, media_type=MEDIA_TYPES[step])

    async def _download(self, url: str, partial: Path) -> tuple[int, str]:
        digest, size = hashlib.sha256(), 0
        try:
            async with self._http.stream("GET", url) as response:
                _check_status(response)
                # In a thread, a cancellation would lose the handle while the file is being opened.
                with _open(partial) as file:
                    async for chunk in response.aiter_bytes(256 * 1024):
                        size += len(chunk)
                        if size > self._max_bytes:
                            raise BadResult(f"The result is larger than {self._max_bytes} bytes.")
                        digest.update(chunk)
                        await asyncio.to_thread(file.write, chunk)
        except httpx.InvalidURL as error:
            raise BadResult(f"The result's address is none: {error}") from None
        except httpx.RemoteProtocolError as error:
            raise BadResult(f"The result was cut short: {error}") from None
        except httpx.HTTPError as error:
            raise StorageFailed(f"The result could not be fetched: {error!r}") from None
        return size, digest.hexdigest()


def _open(partial: Path) -> BinaryIO:
    return partial.open("wb")


def _forget(partial: Path) -> None:
    with contextlib.suppress(OSError):
        partial.unlink()


def _check_status(response: httpx.Response) -> None:
    """A redirect may lead inside our network; it is refused like any answer but a success."""
    if response.status_code >= 500:
        raise StorageFailed(f"The result's host answered {response.status_code}.")
    if not response.is_success:
        raise BadResult(f"The result's address answered {response.status_code}.")
