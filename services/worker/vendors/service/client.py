"""One vendor over HTTP; a generation is known by an id of ours, which never changes."""

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from services.worker.vendors.answers import ask
from services.worker.vendors.failures import json_object, said, sort_response
from services.worker.vendors.findings import Finding
from services.worker.vendors.ids import check_about
from services.worker.vendors.service.checks import status_route
from services.worker.vendors.vendor import State, Traits, VendorStatus, is_id
from shared.errors import OutcomeUnknown, RefusedForGood
from shared.redact import redacted


class ServiceClient:
    """The part that both clients share: calls, sorted failures, the care for duplicates."""

    states: ClassVar[dict[str, State]]
    root: ClassVar[str]
    traits: ClassVar[Traits] = Traits()
    # What it is called in findings, and the setting that has its address.
    name: ClassVar[str]
    setting: ClassVar[str]

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def status(self, task_id: str) -> VendorStatus | None:
        """A generation by the vendor's id or by ours; None where the vendor doesn't know it."""
        response = await self._call("GET", f"{self.root}/status/{quote(task_id, safe='')}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        body = self._json(response)
        status = self._status(body)
        check_about(task_id, (status.vendor_id, body.get("external_id")))
        return status

    async def address(self, status: VendorStatus) -> str | None:
        """Where the result of a success can be fetched; None while the vendor doesn't say."""
        return status.url

    async def cancel(self, vendor_id: str) -> None:
        """Ask the vendor to stop; one that documents no cancel goes on to its end."""

    def credentials(self) -> Mapping[str, str]:
        """None are needed."""
        return {}

    async def examined(self) -> list[Finding]:
        """Whether somebody speaks the contract there."""
        return await status_route(self._http, self.root, check=self.name, setting=self.setting)

    def offer(self) -> str:
        """It says neither what it makes results with nor what it charges."""
        return f"the {self.name} at {redacted(str(self._http.base_url).rstrip('/'))}"

    async def submit_as(self, external_id: str, token: int, body: dict[str, str]) -> str:
        """The vendor's id of a new generation; of the one it has where it refuses a duplicate."""
        try:
            return await self._submit(external_id, token, body)
        except RefusedForGood:
            # A refused duplicate means that an earlier submit of ours did arrive.
            known = await self.status(external_id)
            if known is None:
                raise
            return known.vendor_id

    async def _submit(self, external_id: str, token: int, body: dict[str, str]) -> str:
        headers = {"X-Slot-Token": str(token)}
        response = await self._call("POST", f"{self.root}/submit", json=body, headers=headers)
        answer = self._json(response)
        check_about(external_id, (None, answer.get("external_id")))
        vendor_id = answer.get("job_id")
        if not is_id(vendor_id):
            raise OutcomeUnknown("The submit was answered without a job_id.")
        return vendor_id

    async def _call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        return await ask(self._http, method, path, **kwargs)

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        if not response.is_success:
            raise sort_response(response)
        body = json_object(response)
        if body is None:
            raise OutcomeUnknown("The vendor's answer is not a JSON object.")
        return body

    def _status(self, body: dict[str, Any]) -> VendorStatus:
        try:
            return VendorStatus(
                vendor_id=body.get("job_id", ""),
                state=self.states.get(said(body.get("status")), "running"),
                percent=max(0, min(100, int(body.get("percent") or 0))),
                url=body.get("video_url"),
                message=redacted(said(body.get("error") or body.get("message") or "")),
            )
        except (ValidationError, ValueError, TypeError, OverflowError):
            raise OutcomeUnknown("The vendor's status answer does not fit.") from None
