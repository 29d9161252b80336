"""The vendor as the worker calls it: one request a call; each failure is sorted where it arises."""

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from shared.errors import OutcomeUnknown
from shared.pipeline.answers import ask, json_object, said, sort_response
from shared.pipeline.vendor import State, Traits, VendorStatus, check_about, is_id
from shared.redact import redacted

STATES: Mapping[str, State] = {"waiting": "queued", "done": "succeeded", "failed": "failed"}


class Speaker:
    """Reads a text aloud. It finds an order by our id, calls back, and can be stopped."""

    traits: ClassVar = Traits(pushes=True)

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def submit(self, external_id: str, token: int, /, *, text: str, callback_url: str) -> str:
        """The vendor's id of the order; of the one it has where it refuses a duplicate."""
        body = {"text": text, "reference": external_id, "callback_url": callback_url}
        headers = {"X-Slot-Token": str(token)}
        answer = await ask(self._http, "POST", "/speech", json=body, headers=headers)
        if answer.status_code == httpx.codes.CONFLICT and (known := await self.status(external_id)):
            return known.vendor_id
        found = _body(answer)
        check_about(external_id, (None, found.get("reference")))
        vendor_id = found.get("id")
        if not is_id(vendor_id):
            raise OutcomeUnknown("The submit was answered without an id.")
        return vendor_id

    async def status(self, task_id: str) -> VendorStatus | None:
        """An order by the vendor's id or by ours; None where the vendor doesn't know it."""
        answer = await ask(self._http, "GET", f"/speech/{quote(task_id, safe='')}")
        if answer.status_code == httpx.codes.NOT_FOUND and json_object(answer) is not None:
            return None
        found = _body(answer)
        try:
            status = VendorStatus(
                vendor_id=found.get("id", ""),
                state=STATES.get(said(found.get("state")), "running"),
                percent=max(0, min(100, int(found.get("percent") or 0))),
                url=found.get("file"),
                message=redacted(said(found.get("error") or "")),
            )
        except (ValidationError, ValueError, TypeError, OverflowError):
            raise OutcomeUnknown("The vendor's status answer does not fit.") from None
        check_about(task_id, (status.vendor_id, found.get("reference")))
        return status

    async def address(self, status: VendorStatus) -> str | None:
        """Where the file of a success is; None while the vendor doesn't say."""
        return status.url

    async def cancel(self, vendor_id: str) -> None:
        """Have it stop."""
        answer = await ask(self._http, "DELETE", f"/speech/{quote(vendor_id, safe='')}")
        if not answer.is_success and answer.status_code != httpx.codes.NOT_FOUND:
            raise sort_response(answer)

    def credentials(self) -> Mapping[str, str]:
        """None are needed."""
        return {}


def _body(answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        raise sort_response(answer)
    body = json_object(answer)
    if body is None:
        raise OutcomeUnknown("The vendor's answer is not a JSON object.")
    return body
