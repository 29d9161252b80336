"""What the small contract lets one check for nothing: that somebody speaks it at that address."""

from uuid import uuid4

import httpx

from services.worker.vendors.answers import ask
from services.worker.vendors.failures import json_object, said, sort_response
from services.worker.vendors.findings import Finding, ok, warning, wrong
from shared.errors import NeverDelivered, RefusedForNow, VendorError
from shared.redact import redacted

# What is most likely meant where another server answers.
NATIVE = {
    "COMFYUI_URL": "if it is a ComfyUI itself, set IMAGE_API=comfyui",
    "KLING_URL": "if it is Kling's own API, set VIDEO_API=kling",
}
# Kling's own codes for what it doesn't know: a route, a value, a method, a resource.
KLINGS = ("1200", "1201", "1202", "1203")


async def status_route(
    http: httpx.AsyncClient, root: str, *, check: str, setting: str
) -> list[Finding]:
    """Asks for a generation that nobody has ever submitted: a 404 in JSON is the right answer."""
    at = f"{redacted(str(http.base_url).rstrip('/'))} ({setting})"
    route = f"{root}/status/doctor-{uuid4().hex}.{check.split()[0]}.1"
    try:
        answer = await ask(http, "GET", route)
    except NeverDelivered as error:
        return [wrong(check, f"nobody answers at {at}: {error.message}")]
    except VendorError as error:
        return [wrong(check, f"what answers at {at} can't be understood: {error.message}")]
    return [_judged(answer, check=check, at=at, route=f"{root}/status", native=NATIVE[setting])]


def _judged(answer: httpx.Response, *, check: str, at: str, route: str, native: str) -> Finding:
    if answer.is_success:
        return wrong(
            check,
            f"{at} answers HTTP {answer.status_code} for an id that was never submitted, where the"
            " contract has a 404: a lost request could not be told from a lost reply",
        )
    if answer.status_code == httpx.codes.NOT_FOUND:
        body = json_object(answer)
        if body is None or said(body.get("code")) in KLINGS:
            return wrong(check, f"{at} has no {route}: another server answers; {native}")
        return ok(check, f"answers at {at}")
    failure = sort_response(answer)
    if isinstance(failure, RefusedForNow):
        return warning(check, f"{at} is out or full for now: {failure.message}")
    return wrong(check, f"{at} refuses to be asked: {failure.message}; {native}")
