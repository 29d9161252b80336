"""Results on our disk: fetched from allowed hosts only, checked, whole; never a bad file."""

import asyncio
import contextlib
import hashlib
import secrets
import time
from pathlib import Path
from typing import BinaryIO

import httpx
import structlog

from services.worker.policies import (
    ABANDONED_SECONDS,
    FETCH_PATIENCE_SECONDS,
    FETCH_PAUSE_MAX_SECONDS,
    FETCH_PAUSE_SECONDS,
    FETCH_SECONDS,
    FETCH_TRIES,
)
from services.worker.results.checker import Checker
from services.worker.results.disk import Disk, reason_of
from services.worker.vendors.failures import NOT_SENT
from services.worker.vendors.vendor import Bounds, Fitted
from shared.assets import MEDIA_TYPES, asset_path
from shared.errors import BadResult, StorageFailed
from shared.http import is_identity
from shared.messages import Asset
from shared.states import Step

log = structlog.get_logger(__name__)

CHUNK = 256 * 1024


class _NotGiven(Exception):
    """The file's host answers, but it doesn't give the file now."""


class Storage:
    """Copies vendors' results to `<data>/assets`; `http` knows which hosts may be asked."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        disk: Disk,
        *,
        checker: Checker,
        data_dir: Path,
        max_bytes: int,
    ) -> None:
        self._http = http
        self._disk = disk
        self._checker = checker
        self._data_dir = data_dir
        self._max_bytes = max_bytes

    async def store(self, url: str, job_id: str, *, step: Step) -> Asset:
        """Fetch, check and keep one result.

        BadResult: the file is not what it should be after FETCH_TRIES, not to be had for
        FETCH_PATIENCE_SECONDS, or not here and checked after FETCH_SECONDS in all.
        ResultNotAllowed: it lies where we fetch nothing from. StorageFailed: its host is away, or
        our disk; trying again can help.
        """
        path = asset_path(self._data_dir, job_id, step)
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                return await self._store(url, path, step)
        except TimeoutError:
            raise BadResult(f"The result was not had within {FETCH_SECONDS:g} s.") from None

    async def _store(self, url: str, path: Path, step: Step) -> Asset:
        tries, until = FETCH_TRIES, time.monotonic() + FETCH_PATIENCE_SECONDS
        pause = FETCH_PAUSE_SECONDS
        while True:
            try:
                return await self._store_once(url, path, step)
            except BadResult as error:
                tries -= 1
                if tries == 0:
                    raise
                reason = error.message
            except _NotGiven as error:
                if time.monotonic() >= until:
                    raise BadResult(
                        f"{error} So it was for {FETCH_PATIENCE_SECONDS:g} s."
                    ) from None
                reason = str(error)
            log.warning("fetching the result again", step=step, reason=reason)
            await asyncio.sleep(pause)
            pause = min(2 * pause, FETCH_PAUSE_MAX_SECONDS)

    async def store_at_once(self, url: str, job_id: str, *, step: Step) -> Asset:
        """As `store`, with one try and no patience."""
        try:
            return await self._store_once(url, asset_path(self._data_dir, job_id, step), step)
        except _NotGiven as error:
            raise BadResult(str(error)) from None

    async def fitted(self, job_id: str, bounds: Bounds) -> Fitted:
        """The stored image of a job within a vendor's bounds; as `Checker.fitted`."""
        return await self._checker.fitted(asset_path(self._data_dir, job_id, Step.IMAGE), bounds)

    async def _store_once(self, url: str, path: Path, step: Step) -> Asset:
        partial = path.with_name(f"{_partial_of(path)}{secrets.token_hex(4)}.part")
        try:
            await asyncio.to_thread(_make_room, path)
            size, digest = await self._download(url, partial)
            await self._checker.check(partial, step)
            await asyncio.to_thread(partial.replace, path)
        except BaseException as error:
            await asyncio.to_thread(_forget, partial)
            if isinstance(error, OSError):
                self._disk.refused("assets", error, step=step)
                raise StorageFailed(f"Our disk: {reason_of(error)}") from None
            raise
        return Asset(size=size, sha256=digest, media_type=MEDIA_TYPES[step])

    async def _download(self, url: str, partial: Path) -> tuple[int, str]:
        try:
            async with self._http.stream("GET", url) as response:
                _check_head(response)
                # In a thread, a cancellation would lose the handle while the file is being opened.
                with _open(partial) as file:
                    return await self._copy(response, file)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise BadResult(f"The result's address is none: {error}") from None
        except httpx.RemoteProtocolError as error:
            raise BadResult(f"The result was cut short: {error}") from None
        except NOT_SENT as error:
            raise StorageFailed(f"The result's host is away: {error!r}") from None
        except httpx.HTTPError as error:
            raise _NotGiven(f"The result could not be fetched: {error!r}.") from None

    async def _copy(self, response: httpx.Response, file: BinaryIO) -> tuple[int, str]:
        """Size and digest of what came."""
        digest, size = hashlib.sha256(), 0
        async for chunk in response.aiter_raw(CHUNK):
            size += len(chunk)
            if size > self._max_bytes:
                raise BadResult(f"The result is larger than {self._max_bytes} bytes.")
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
        return size, digest.hexdigest()


def _open(partial: Path) -> BinaryIO:
    return partial.open("wb")


def _make_room(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _forget_abandoned(path)


def _partial_of(path: Path) -> str:
    return f".{path.name}."


def _forget(partial: Path) -> None:
    with contextlib.suppress(OSError):
        partial.unlink()


def _forget_abandoned(path: Path) -> None:
    """What a worker that died has left; callback and poll may both be fetching just now."""
    for partial in path.parent.glob(f"{_partial_of(path)}*.part"):
        with contextlib.suppress(OSError):
            if time.time() - partial.stat().st_mtime > ABANDONED_SECONDS:
                partial.unlink()


def _check_head(response: httpx.Response) -> None:
    """A redirect may lead inside our network; it is refused like any answer but a success.

    So is one in a code that we did not ask for: of what it stands for, nothing is said.
    """
    if response.status_code >= 500:
        raise _NotGiven(f"The result's host answered {response.status_code}.")
    if not response.is_success:
        raise BadResult(f"The result's address answered {response.status_code}.")
    if not is_identity(response):
        raise BadResult("The result is encoded, which was not asked for.")
