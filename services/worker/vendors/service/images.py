"""The ComfyUI-based image service: submit, status, result, cancel."""

from typing import ClassVar
from urllib.parse import quote

import httpx

from services.worker.vendors.ids import check_about
from services.worker.vendors.service.client import ServiceClient
from services.worker.vendors.vendor import LOST, State, VendorStatus
from shared.errors import BadResult, RefusedForGood


class ImageService(ServiceClient):
    """`/img/…` of the contract, and ComfyUI's own cancel."""

    states: ClassVar[dict[str, State]] = {
        "queued": "queued",
        "succeeded": "succeeded",
        "failed": "failed",
    }
    root = "/img"
    name = "image service"
    setting = "COMFYUI_URL"

    async def submit(self, external_id: str, token: int, *, prompt: str, style: str) -> str:
        """The vendor's id of the image."""
        body = {"prompt": prompt, "style": style, "client_id": external_id}
        return await self.submit_as(external_id, token, body)

    async def address(self, status: VendorStatus) -> str | None:
        """Asked for by a call of its own; a service that has just finished may not know it yet."""
        try:
            return await self.result_url(status.vendor_id)
        except BadResult:
            return None

    async def result_url(self, vendor_id: str) -> str:
        """Where the finished image can be fetched; BadResult when the vendor doesn't say.

        OutcomeUnknown for the result of another one.
        """
        response = await self._call("GET", f"{self.root}/result/{quote(vendor_id, safe='')}")
        try:
            answer = self._json(response)
        except RefusedForGood as error:
            # It was finished a moment ago: the vendor has lost the file, not refused the job.
            raise BadResult(error.message) from None
        check_about(vendor_id, (answer.get("job_id", vendor_id), None))
        url = answer.get("asset_url")
        if not isinstance(url, str) or LOST in url:
            raise BadResult("The result was answered without an asset_url.")
        return url

    async def cancel(self, vendor_id: str) -> None:
        """Ask the vendor to stop; a service that doesn't offer it goes on to its end."""
        response = await self._call("POST", f"/api/jobs/{quote(vendor_id, safe='')}/cancel")
        if response.status_code != httpx.codes.NOT_FOUND:
            self._json(response)
