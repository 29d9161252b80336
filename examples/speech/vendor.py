"""The vendor as the worker calls it: one request a call; each failure is sorted where it arises."""

from collections.abc import Mapping
from urllib.parse import quote

import httpx

from shared.pipeline.answers import ask, body_of, id_of, json_object, sort_response, status_of
from shared.pipeline.vendor import State, Traits, Vendor, VendorStatus, check_about

STATES: Mapping[str, State] = {"waiting": "queued", "done": "succeeded", "failed": "failed"}


class Speaker(Vendor):
    """Reads a text aloud. It finds an order by our id, calls back, and can be stopped."""

    traits = Traits(pushes=True)

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def submit(self, external_id: str, token: int, /, *, text: str, callback_url: str) -> str:
        """Return the vendor's id of the order; of the existing one if it refuses a duplicate."""
        body = {"text": text, "reference": external_id, "callback_url": callback_url}
        headers = {"X-Slot-Token": str(token)}
        answer = await ask(self._http, "POST", "/speech", json=body, headers=headers)
        if answer.status_code == httpx.codes.CONFLICT and (known := await self.status(external_id)):
            return known.vendor_id
        found = body_of(answer)
        check_about(external_id, (None, found.get("reference")))
        return id_of(found, "id")

    async def status(self, task_id: str) -> VendorStatus | None:
        answer = await ask(self._http, "GET", f"/speech/{quote(task_id, safe='')}")
        if answer.status_code == httpx.codes.NOT_FOUND and json_object(answer) is not None:
            return None
        found = body_of(answer)
        return status_of(
            task_id,
            ours=found.get("reference"),
            vendor_id=found.get("id"),
            state=found.get("state"),
            states=STATES,
            percent=found.get("percent"),
            url=found.get("file"),
            message=found.get("error"),
        )

    async def cancel(self, vendor_id: str) -> None:
        answer = await ask(self._http, "DELETE", f"/speech/{quote(vendor_id, safe='')}")
        if not answer.is_success and answer.status_code != httpx.codes.NOT_FOUND:
            raise sort_response(answer)
