"""Kling's own API as a video vendor: looked up by our id, and paced by its refusals."""

import base64
import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
import structlog

from services.worker.results.checker import Bounds
from services.worker.settings.vendors import extra_of
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.kling import checks
from services.worker.vendors.kling.answers import (
    BAD_PARAMETER,
    EXPIRED,
    NOT_YET_VALID,
    code_of,
    data_of,
    ids_of,
    is_unknown,
    task_status,
)
from services.worker.vendors.kling.keys import Keys
from shared.errors import OutcomeUnknown, RefusedForGood, RefusedForNow, VendorError
from shared.pipeline.answers import ask, id_of
from shared.pipeline.findings import Finding
from shared.pipeline.hosts import may_reach
from shared.pipeline.vendor import SourceFile, Traits, Vendor, VendorStatus, check_about
from shared.redact import redacted

log = structlog.get_logger(__name__)

# As documented: jpg or png, 10 MB, sides of 300 px or more, no longer than 2.5 times as wide.
BOUNDS = Bounds(max_bytes=10 * 1000 * 1000, min_side=300, max_ratio=2.5, kinds=("JPEG", "PNG"))
# Of the storage that its results were seen at; the hosts' names change.
RESULT_HOSTS = ("*.klingai.com", "*.kechuangai.com", "*.inkwai.com")
# Between two submits that were refused for now; the documentation says 1 s or more.
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
# The refusal of a duplicate says so in its message.
_TASK_ID = "external_task_id"
_TAKEN = re.compile(r"exist|duplicat|already|unique|repeat", re.IGNORECASE)
PATH = "/v1/videos/image2video"
_dice = secrets.SystemRandom()


class KlingVideos(Vendor):
    """Image to video; a callback address is sent only if it can be reached."""

    def __init__(self, http: httpx.AsyncClient, settings: WorkerSettings) -> None:
        self._http = http
        self._settings = settings
        pushes = may_reach(settings.callback_url, settings.video_service_url)
        if not pushes:
            reason = "CALLBACK_URL is not a public https address"
            log.info("no callbacks: the video vendor is polled", reason=reason)
        self._keys = Keys(settings)
        self._refusals = 0
        self._fixed = {
            **extra_of(settings.kling_extra),
            "model_name": settings.model,
            "mode": settings.kling_mode,
            "duration": str(settings.kling_duration),
        }
        # A model without sound gets no such member.
        if settings.kling_sound == "on":
            self._fixed["sound"] = "on"
        looked_up = settings.kling_look_up == "on"
        self.traits = Traits(looked_up=looked_up, pushes=pushes, result_hosts=RESULT_HOSTS)

    async def submit(
        self, external_id: str, token: int, *, prompt: str, source: SourceFile, callback_url: str
    ) -> str:
        # Checked before anything is paid.
        image = base64.b64encode(await source.fitted(BOUNDS)).decode()
        body = {
            **self._fixed,
            "image": image,
            "prompt": prompt,
            "external_task_id": external_id,
            **({"callback_url": callback_url} if self.traits.pushes else {}),
        }
        response = await self._call(
            "POST",
            PATH,
            json=body,
            headers={"X-Slot-Token": str(token)},
            sent_bytes=len(image),
        )
        try:
            task = data_of(response)
        except RefusedForNow as error:
            raise self._paced(error) from None
        except RefusedForGood as error:
            return await self._adopted(external_id, response, error)
        check_about(external_id, ids_of(task))
        vendor_id = id_of(task, "task_id")
        self._refusals = 0
        return vendor_id

    async def status(self, task_id: str) -> VendorStatus | None:
        response = await self._call("GET", f"{PATH}/{quote(task_id, safe='')}")
        return None if is_unknown(response) else task_status(task_id, data_of(response))

    async def cancel(self, vendor_id: str) -> None:
        """Do nothing, because Kling has no cancel: the task goes on to its end."""

    async def examined(self) -> list[Finding]:
        known = [] if self.traits.pushes else [checks.callbacks(self._settings)]
        return [*await checks.account(self._call, self._at), *known]

    def offer(self) -> str:
        """Return the model and its parameters; Kling's price list has their price."""
        used = self._settings
        sound = ", with sound" if used.kling_sound == "on" else ""
        made = f"{used.model}, {used.kling_mode}, {used.kling_duration} s{sound}"
        return f"Kling at {self._at}: {made}"

    @property
    def _at(self) -> str:
        return redacted(str(self._http.base_url).rstrip("/"))

    async def _adopted(
        self, external_id: str, response: httpx.Response, error: RefusedForGood
    ) -> str:
        """Return the existing task if the bad parameter is our id, because an earlier submit
        arrived; otherwise raise the error."""
        if code_of(response) != BAD_PARAMETER:
            raise error
        known = await self.status(external_id) if self.traits.looked_up else None
        if known is not None:
            return known.vendor_id
        if _TASK_ID in error.message and _TAKEN.search(error.message):
            raise OutcomeUnknown(
                f"The vendor says that it exists, but does not find it: {error.message}"
            )
        raise error

    def _paced(self, error: RefusedForNow) -> VendorError:
        """Return the refusal with a pause that grows with each refusal in a row, with jitter."""
        pause = min(PAUSE_SECONDS * 2**self._refusals, LONGEST_PAUSE_SECONDS)
        self._refusals = min(self._refusals + 1, 10)
        seconds = max(pause * _dice.uniform(1, 1.5), error.retry_after or 0)
        return RefusedForNow(error.message, retry_after=seconds)

    async def _call(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **kwargs: Any
    ) -> httpx.Response:
        used = self._keys.header()
        shown = {**(headers or {}), "Authorization": used}
        response = await ask(self._http, method, path, headers=shown, **kwargs)
        if code_of(response) not in (NOT_YET_VALID, EXPIRED):
            return response
        if not self._keys.renew(used, response.headers.get("date", "")):
            return response
        log.info("made another token", code=code_of(response))
        shown["Authorization"] = self._keys.header()
        return await ask(self._http, method, path, headers=shown, **kwargs)
