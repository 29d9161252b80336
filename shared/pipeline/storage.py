"""Store results: fetched from allowed hosts only, checked, and whole."""

import asyncio
import contextlib
import hashlib
import math
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import httpx
import structlog
from prometheus_client import Counter
from temporalio.client import Client

from shared.errors import BadResult, NeverDelivered, StorageFailed
from shared.files import forget_partials
from shared.http.client import CLEARING_STATUSES, NOT_SENT, http_client, is_identity, pieces
from shared.jobs.ids import assets_prefix
from shared.jobs.messages import Asset
from shared.pipeline.answers import ANSWER_SECONDS
from shared.pipeline.definition import Definition, Stage
from shared.pipeline.disk import explained, note_refusal
from shared.pipeline.fetching import Credentials, asked
from shared.pipeline.policies import (
    ABANDONED_SECONDS,
    FETCH_PATIENCE_SECONDS,
    FETCH_PAUSE_MAX_SECONDS,
    FETCH_PAUSE_SECONDS,
    FETCH_SECONDS,
    FETCH_TRIES,
)
from shared.pipeline.settings import PipelineWorkerSettings
from shared.pipeline.vendor import Vendor
from shared.store.assets import Assets
from shared.store.folder import Folder
from shared.store.protocol import Store

log = structlog.get_logger(__name__)

STORED = Counter("genvideo_worker_stored", "Results that were checked and stored", ["step"])
UNITS = Counter("genvideo_worker_units", "What vendors say that they charged", ["step"])

CHUNK = 256 * 1024
# As many bytes of a file show its kind.
BEGINNING = 16


class Checker(ABC):
    """Checks vendors' files; the worker's process opens none."""

    @abstractmethod
    async def check(self, path: Path, step: str, kinds: Sequence[str], out: IO[bytes]) -> None:
        """Return if this is a good file of one of these kinds; if `out` is written to, that is
        stored instead.

        Raises BadResult or WrongKind, and StorageFailed if it can't be checked now.
        """

    async def fitted(self, path: Path, bounds: Any) -> bytes:
        """Return a stored file within a vendor's bounds; raise RefusedForGood or StorageFailed."""
        return await asyncio.to_thread(path.read_bytes)


class _NotGiven(BadResult, code=BadResult.code, failure=BadResult.failure):
    """The file's host answers without the file, perhaps only for a while."""


class Storage:
    """Copies vendors' results to the store, by way of `<data>/assets`.

    `http` checks the hosts; `vendors` are the vendors' own addresses, by role. Without a store it
    is the folder.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        checker: Checker,
        vendors: Mapping[str, str],
        data_dir: Path,
        max_bytes: int,
        store: Store | None = None,
    ) -> None:
        self._http = http
        self._checker = checker
        self._vendors = vendors
        self._here = Folder(data_dir)
        self._assets = Assets(store or self._here)
        self._max_bytes = max_bytes

    async def store(self, url: str, job_id: str, stage: Stage, *, vendor: Vendor) -> Asset:
        """Fetch, check and store one result of this vendor.

        Raises BadResult if the file is wrong after FETCH_TRIES, not available for
        FETCH_PATIENCE_SECONDS, or not stored after FETCH_SECONDS; ResultNotAllowed for a forbidden
        host; StorageFailed if the host is away or the disk fails, when a retry can help.
        """
        tries, until = FETCH_TRIES, time.monotonic() + FETCH_PATIENCE_SECONDS
        pause = FETCH_PAUSE_SECONDS
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                while True:
                    try:
                        return await self.store_at_once(url, job_id, stage, vendor=vendor)
                    except _NotGiven as error:
                        if time.monotonic() >= until:
                            lasted = f"So it was for {FETCH_PATIENCE_SECONDS:g} s."
                            raise BadResult(f"{error.message} {lasted}") from None
                        reason = error.message
                    except BadResult as error:
                        tries -= 1
                        if tries == 0:
                            raise
                        reason = error.message
                    log.warning("fetching the result again", step=stage.name, reason=reason)
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, FETCH_PAUSE_MAX_SECONDS)
        except TimeoutError:
            raise BadResult(f"The result was not fetched within {FETCH_SECONDS:g} s.") from None

    async def store_at_once(self, url: str, job_id: str, stage: Stage, *, vendor: Vendor) -> Asset:
        """Store it with one try and without waiting."""
        credentials = Credentials(self._vendors[stage.vendor], vendor.credentials())
        kinds = vendor.traits.kinds or (stage.file.name,)
        try:
            async with self._partial(job_id, stage.name) as fetched:
                # A dead worker's leftovers; callback and poll may both be fetching just now.
                old = (fetched.parent, f".{stage.name}.*.part")
                await asyncio.to_thread(forget_partials, *old, seconds=ABANDONED_SECONDS)
                await self._download(url, credentials, fetched)
                async with self._partial(job_id, f"{stage.name}.made") as made:
                    # Not in a thread, because a cancellation would lose the handle while the file
                    # is being opened.
                    with made.open("w+b") as out:
                        await self._checker.check(fetched, stage.name, kinds, out)
                    return await asyncio.to_thread(self._kept, made, fetched, job_id, stage=stage)
        except OSError as error:
            note_refusal("assets", error, step=stage.name)
            raise StorageFailed(explained(error)) from None

    def _kept(self, made: Path, fetched: Path, job_id: str, *, stage: Stage) -> Asset:
        path = made if made.stat().st_size else fetched
        size = path.stat().st_size
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._assets.keep(path, job_id, stage, digest=digest)
        return Asset(size=size, sha256=digest, media_type=stage.file.media_type)

    async def fitted(self, job_id: str, stage: str, bounds: Any) -> bytes:
        """Return the stored result of a stage within a vendor's bounds; as `Checker.fitted`."""
        try:
            found = await asyncio.to_thread(self._assets.find, job_id, stage)
            if found is None:
                raise StorageFailed(f"Our disk: the stored {stage} is not there.")
            if self._assets.store.local:
                with self._here.held(found.key) as path:
                    return await self._checker.fitted(path, bounds)
            async with self._partial(job_id, stage) as path:
                data = await asyncio.to_thread(self._assets.store.range, found.key, 0, found.size)
                await asyncio.to_thread(path.write_bytes, data)
                return await self._checker.fitted(path, bounds)
        except OSError as error:
            raise StorageFailed(explained(error)) from None

    async def look(self, url: str, kinds: Mapping[str, bytes], *, ours: bool = False) -> None:
        """Return if an address serves a file that begins as one of these kinds.

        Raises BadResult if it does not, and NeverDelivered if its host is away, busy or slow.
        """
        wanted = {"Range": f"bytes=0-{BEGINNING - 1}"}
        first = b""
        try:
            # The time-out of a read begins again with each byte.
            async with asyncio.timeout(ANSWER_SECONDS), contextlib.AsyncExitStack() as stack:
                http = await stack.enter_async_context(http_client()) if ours else self._http
                request = http.stream("GET", url, headers=wanted)
                response = await stack.enter_async_context(request)
                _check_head(response)
                async for piece in pieces(response):
                    first += piece
                    if len(first) >= BEGINNING:
                        break
        except (httpx.HTTPError, _NotGiven) as error:
            raise NeverDelivered(f"The source's address can't be checked: {error}") from None
        except TimeoutError:
            what = f"gives no file within {ANSWER_SECONDS:g} s"
            raise NeverDelivered(f"The source's address {what}.") from None
        except httpx.InvalidURL:
            raise BadResult("The source's address is invalid.") from None
        if not first.startswith(tuple(kinds.values())):
            raise BadResult(f"The source's address gives no {' or '.join(kinds)} file.")

    @contextlib.asynccontextmanager
    async def _partial(self, job_id: str, name: str) -> AsyncIterator[Path]:
        """Yield the path of a new file beside a job's results, which is gone after the block.

        So is the folder with a bucket, because it is only needed during a fetch.
        """
        prefix = assets_prefix(job_id)
        with self._here.held(f"{prefix}.{name}.{secrets.token_hex(4)}.part", make=True) as path:
            try:
                yield path
            finally:
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(path.unlink)
                if not self._assets.store.local:
                    with contextlib.suppress(OSError):
                        await asyncio.to_thread((self._here.root / prefix).rmdir)

    async def _download(self, url: str, credentials: Credentials, partial: Path) -> None:
        try:
            async with asked(self._http, url, credentials) as response:
                _check_head(response)
                with partial.open("wb") as file:
                    await self._copy(response, file)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise BadResult(f"The result's address is invalid: {error}") from None
        except httpx.RemoteProtocolError as error:
            raise BadResult(f"The result was cut short: {error}") from None
        except NOT_SENT as error:
            raise StorageFailed(f"The result's host is away: {error!r}") from None
        except httpx.HTTPError as error:
            raise _NotGiven(f"The result could not be fetched: {error!r}.") from None

    async def _copy(self, response: httpx.Response, file: BinaryIO) -> None:
        size, chunk = 0, bytearray()
        async for piece in pieces(response):
            size += len(piece)
            chunk += piece
            if size > self._max_bytes:
                raise BadResult(f"The result is larger than {self._max_bytes} bytes.")
            if len(chunk) >= CHUNK:
                await asyncio.to_thread(file.write, chunk)
                chunk = bytearray()
        await asyncio.to_thread(file.write, chunk)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The settings, and the clients of Temporal, of the pipeline's vendors and of the store.

    `vendors`: by role.
    """

    settings: PipelineWorkerSettings
    client: Client
    vendors: Mapping[str, Vendor]
    storage: Storage

    @property
    def pipeline(self) -> Definition:
        return self.settings.pipeline

    def vendor(self, stage: str) -> Vendor:
        return self.vendors[self.pipeline.stage(stage).vendor]


def _check_head(response: httpx.Response) -> None:
    """Refuse a redirect, because it may lead into our network, except an allowed one.

    An answer in an encoding that we did not ask for is refused as well.
    """
    if response.status_code >= 500 or response.status_code in CLEARING_STATUSES:
        raise _NotGiven(f"The result's host answered {response.status_code}.")
    if not response.is_success:
        raise BadResult(f"The result's address answered {response.status_code}.")
    if not is_identity(response):
        raise BadResult("The result is encoded, which was not asked for.")


def count_from_none(stage: Stage) -> None:
    """Start the counters at 0, because an alert sees no rise from a missing number."""
    STORED.labels(stage.name)
    UNITS.labels(stage.name)


def count(step: str, units: str | None) -> None:
    """Count a result; `units` is the vendor's text, of which only numbers can be added."""
    STORED.labels(step).inc()
    try:
        number = float(units or 0)
    except ValueError:
        return
    if math.isfinite(number) and number > 0:
        UNITS.labels(step).inc(number)
