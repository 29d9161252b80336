"""What a ComfyUI's refusals mean, and which setting they are about."""

from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from services.worker.vendors.failures import json_object, said, sort_response
from shared.errors import RefusedForGood, VendorError
from shared.redact import redacted

_HEADERS = "COMFYUI_HEADERS does not let us in"
# By status; a refusal whose setting is wrong stays one.
_SETTINGS = {
    401: _HEADERS,
    403: _HEADERS,
    404: "no ComfyUI answers at COMFYUI_URL",
    405: "no ComfyUI answers at COMFYUI_URL",
    413: "COMFYUI_WORKFLOW is too large for the server",
}


def refusal(response: httpx.Response, *, output: str = "") -> VendorError:
    """An answer that isn't a success: by its status, with the server's own reason."""
    told = reason_of(json_object(response) or {}, output)
    reason = redacted(told or response.reason_phrase)
    said_so = f"HTTP {response.status_code}: {reason}"
    if response.is_redirect:
        return RefusedForGood(f"{said_so}; COMFYUI_URL leads elsewhere")
    if response.status_code in _SETTINGS:
        return RefusedForGood(f"{said_so}; {_SETTINGS[response.status_code]}")
    kind = sort_response(response)
    return type(kind)(said_so, retry_after=kind.retry_after)


def reason_of(body: Mapping[str, Any], output: str) -> str:
    """The first mistake of a node, if there is one of those that keep this output from being made;
    else what the answer says as a whole."""
    for node_id, node in sorted(
        node_errors(body), key=lambda it: not _touches(it[0], it[1], output)
    ):
        for mistake in _mistakes(node):
            return f"node {node_id} ({said(node.get('class_type'))}): {_words(mistake)}"
    error = body.get("error")
    return _words(error) if isinstance(error, dict) else said(error or "")


def node_errors(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The nodes that are told to be wrong."""
    found = body.get("node_errors")
    for node_id, node in found.items() if isinstance(found, dict) else ():
        if isinstance(node, dict):
            yield node_id, node


def touches(body: Mapping[str, Any], output: str) -> bool:
    """Whether a mistake keeps this output from being made."""
    return any(_touches(node_id, node, output) for node_id, node in node_errors(body))


def _touches(node_id: str, node: Mapping[str, Any], output: str) -> bool:
    listed = node.get("dependent_outputs")
    return node_id == output or (isinstance(listed, list) and output in listed)


def _mistakes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    errors = node.get("errors")
    yield from (
        each for each in (errors if isinstance(errors, list) else ()) if isinstance(each, dict)
    )


def _words(error: Mapping[str, Any]) -> str:
    parts = (said(error.get(name) or "") for name in ("message", "details"))
    return ": ".join(dict.fromkeys(filter(None, parts)))
