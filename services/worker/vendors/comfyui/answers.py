"""Read a ComfyUI's answers.

They give the state of a prompt (only `completed` is a success), the reason of a refusal, and the
setting to change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx

from shared.errors import RefusedForGood, VendorError
from shared.pipeline.answers import as_text, json_object, sort_response
from shared.pipeline.vendor import State
from shared.redact import redacted

Json = Mapping[str, Any]
_WORDS: Mapping[str, State] = {"pending": "queued", "completed": "succeeded"}
_BAD_ENDS = frozenset({"failed", "cancelled"})
_NO_MEMORY = "MemoryError"
CANCELLED = "It was cancelled at the ComfyUI."
# Errors that the same graph would meet again: a missing file or model, a type, a value.
_FINAL = frozenset(
    {
        *("FileNotFoundError", "UnidentifiedImageError", "ModuleNotFoundError", "ImportError"),
        *("TypeError", "ValueError", "KeyError"),
    }
)


class File(NamedTuple):
    """A file of the server, with the parameters of `/view`."""

    filename: str
    subfolder: str
    type: str


@dataclass(frozen=True)
class PromptState:
    """The state of a prompt; `file` is set for a success, the others for a failure."""

    state: State
    file: File | None = None
    message: str = ""
    final: bool = False
    out_of_memory: bool = False


@dataclass(frozen=True)
class Result:
    """The node of the result; a temporary file counts only if the node was named."""

    node: str
    name: str
    temporary: bool

    def of(self, outputs: object) -> File | None:
        listed = _object(_object(outputs).get(self.node)).get("images")
        files = [file for each in _list(listed) if (file := _file(each))]
        kinds = ("output", "temp") if self.temporary else ("output",)
        return next((file for kind in kinds for file in files if file.type == kind), None)


def of_job(job: Json, result: Result) -> PromptState:
    word, status = as_text(job.get("status")), _object(job.get("execution_status"))
    if word == "completed" and status.get("completed", True) is True:
        return _success(job.get("outputs"), result)
    if word in _BAD_ENDS or word == "completed":
        error = _message(status, "execution_error") or _object(job.get("execution_error"))
        return _failure(error, cancelled=word == "cancelled")
    return PromptState(_WORDS.get(word, "running"))


def of_history(entry: Json, result: Result) -> PromptState:
    """Return the state by `/history/{id}`, which knows only what has ended."""
    status = _object(entry.get("status"))
    if status.get("completed") is True:
        return _success(entry.get("outputs"), result)
    interrupted = _message(status, "execution_interrupted") is not None
    return _failure(_message(status, "execution_error") or {}, cancelled=interrupted)


def _success(outputs: object, result: Result) -> PromptState:
    file = result.of(outputs)
    if file is None:
        why = f"The workflow has ended, and its node {result.name} gave no file."
        return PromptState("failed", message=redacted(why), final=True)
    return PromptState("succeeded", file=file)


def _failure(error: Json, *, cancelled: bool) -> PromptState:
    """Return the failure without traceback and the server's folders."""
    if cancelled:
        return PromptState("failed", message=CANCELLED)
    kind = as_text(error.get("exception_type", "")).rpartition(".")[2]
    where = f"node {as_text(error.get('node_id'))} ({as_text(error.get('node_type'))})"
    what = as_text(error.get("exception_message", "")).strip() or "it failed"
    return PromptState(
        "failed",
        message=redacted(f"{where}: {kind or 'error'}: {what}" if error else "It failed."),
        final=kind in _FINAL,
        out_of_memory=kind.endswith(_NO_MEMORY),
    )


def _message(status: Json, kind: str) -> Json | None:
    for message in _list(status.get("messages")):
        if isinstance(message, list) and len(message) == 2 and message[0] == kind:
            return _object(message[1])
    return None


def _file(found: object) -> File | None:
    parts = [_object(found).get(name) for name in File._fields]
    names = [part for part in parts if isinstance(part, str)]
    return File(*names) if len(names) == len(parts) and names[0] else None


def _object(found: object) -> Json:
    return found if isinstance(found, dict) else {}


def _list(found: object) -> list[Any]:
    return found if isinstance(found, list) else []


_HEADERS = "the server refuses us: check COMFYUI_HEADERS"
# By status; a refusal because of a wrong setting stays one.
_SETTINGS = {
    401: _HEADERS,
    403: _HEADERS,
    404: "no ComfyUI answers at COMFYUI_URL",
    405: "no ComfyUI answers at COMFYUI_URL",
    413: "COMFYUI_WORKFLOW is too large for the server",
}


def refusal(response: httpx.Response, *, output: str = "") -> VendorError:
    """Return the error for an answer that isn't a success: by its status, with the server's
    reason."""
    answered = reason_of(json_object(response) or {}, output)
    reason = redacted(answered or response.reason_phrase)
    described = f"HTTP {response.status_code}: {reason}"
    if response.is_redirect:
        return RefusedForGood(f"{described}; COMFYUI_URL redirects elsewhere")
    if response.status_code in _SETTINGS:
        return RefusedForGood(f"{described}; {_SETTINGS[response.status_code]}")
    kind = sort_response(response)
    return type(kind)(described, retry_after=kind.retry_after)


def reason_of(body: Json, output: str) -> str:
    """Return the first mistake of a node that keeps this output from being made, or the answer's
    own reason."""
    errors = node_errors(body)
    ours = [each for each in errors if _touches(*each, output)]
    for node_id, node in (*ours, *errors):
        for mistake in filter(None, map(_object, _list(node.get("errors")))):
            return f"node {node_id} ({as_text(node.get('class_type'))}): {_words(mistake)}"
    error = body.get("error")
    return _words(error) if isinstance(error, dict) else as_text(error or "")


def node_errors(body: Json) -> list[tuple[str, Json]]:
    found = _object(body.get("node_errors")).items()
    return [(node_id, node) for node_id, node in found if isinstance(node, dict)]


def touches(body: Json, output: str) -> bool:
    """True if a mistake keeps this output from being made."""
    return any(_touches(*each, output) for each in node_errors(body))


def _touches(node_id: str, node: Json, output: str) -> bool:
    return node_id == output or output in _list(node.get("dependent_outputs"))


def _words(error: Json) -> str:
    parts = (as_text(error.get(name) or "") for name in ("message", "details"))
    return ": ".join(dict.fromkeys(filter(None, parts)))
