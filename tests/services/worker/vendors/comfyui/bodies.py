"""Answers of a real ComfyUI 0.28.0 (and 0.3.64), with the ids of a test's generation put in."""

import json
from pathlib import Path
from typing import Any

import httpx

from services.worker.graphs.plan import prompt_id_of
from tests.services.worker.vendors.stub import Answer, reply

OURS = "job-0123456789abcdef01234567.image.1"
ID = prompt_id_of(OURS)
OTHER = "beb85095-5344-4a4c-8977-844a30aa7eb0"
FOLDER = f"genvideo/{ID}"
NAME = "image_00001_.png"

JOB, CANCEL, HISTORY = (
    f"GET /api/jobs/{ID}",
    f"POST /api/jobs/{ID}/cancel",
    f"GET /api/history/{ID}",
)
PROMPT, QUEUE, DROP = "POST /api/prompt", "GET /api/queue", "POST /api/queue"
VIEW, INTERRUPT, FREE = "GET /api/view", "POST /api/interrupt", "POST /api/free"
STATS = "GET /api/system_stats"

Json = dict[str, Any]
AT = 1795559685011
IMAGE: Json = {"filename": NAME, "subfolder": FOLDER, "type": "output"}
START = ["execution_start", {"prompt_id": ID, "timestamp": AT}]
CACHED = ["execution_cached", {"nodes": [], "prompt_id": ID, "timestamp": AT + 2}]
INTERRUPTED = [
    "execution_interrupted",
    {
        "prompt_id": ID,
        "node_id": "2",
        "node_type": "ImageBlur",
        "executed": ["1"],
        "timestamp": AT + 9,
    },
]
SUCCESS: Json = {
    "status_str": "success",
    "completed": True,
    "messages": [START, CACHED, ["execution_success", {"prompt_id": ID, "timestamp": AT + 48}]],
}
ACCEPTED = reply(prompt_id=ID, number=0, node_errors={})
NO_JOB = reply(404, error="Job not found")
NO_ROUTE: Answer = lambda _: httpx.Response(404, text="404: Not Found")  # noqa: E731
NOT_ALLOWED: Answer = lambda _: httpx.Response(405, text="405: Method Not Allowed")  # noqa: E731
NO_FILE: Answer = lambda _: httpx.Response(404)  # noqa: E731
NOTHING = reply()
DONE: Answer = lambda _: httpx.Response(200)  # noqa: E731
TROUBLE: Answer = lambda _: httpx.Response(  # noqa: E731
    500, text="500 Internal Server Error\n\nServer got itself in trouble"
)
VERSION = reply(system={"os": "linux", "comfyui_version": "0.3.64"})


def row(number: float, prompt_id: str) -> list[Any]:
    return [number, prompt_id, {"1": {}}, {"client_id": prompt_id, "create_time": AT}, ["2"]]


def queue(*, running: tuple[str, ...] = (), pending: tuple[tuple[float, str], ...] = ()) -> Answer:
    return reply(
        queue_running=[row(1, each) for each in running],
        queue_pending=[row(*each) for each in pending],
    )


def job(status: str, **more: Any) -> Answer:
    fields = {"priority": 15, "create_time": AT, "outputs_count": 0, **more}
    return reply(**{"id": ID, "status": status, **fields})


def completed(outputs: Json, **status: Any) -> Answer:
    return job("completed", outputs=outputs, execution_status={**SUCCESS, **status}, workflow={})


def failed(word: str, message: list[Any], outputs: Json | None = None) -> Answer:
    status = {"status_str": "error", "completed": False, "messages": [START, CACHED, message]}
    return job(word, outputs=outputs or {}, execution_status=status, workflow={})


def entry(outputs: Json, status: Json, *, of: str = ID) -> Answer:
    return reply(**{of: {"prompt": row(1, of), "outputs": outputs, "status": status, "meta": {}}})


def execution_error(kind: str, message: str) -> list[Any]:
    told = {
        "prompt_id": ID,
        "node_id": "3",
        "node_type": "KSampler",
        "executed": ["4", "5"],
        "exception_message": message,
        "exception_type": kind,
        "traceback": ['  File "/opt/ComfyUI/execution.py", line 518, in execute\n'],
        "current_inputs": {"image": ["bad.png"]},
        "current_outputs": ["4"],
        "timestamp": AT + 9,
    }
    return ["execution_error", told]


CAPTURED = json.loads(
    Path("tests/services/mock_comfyui/captured/comfyui-0.28.0.json").read_text(encoding="utf-8")
)
[_ERRORS] = [each["entries"] for each in CAPTURED["sections"] if each["name"] == "errors"]
_REFUSED = [each["body"] for each in _ERRORS if each.get("status") == 400]
_REFUSALS = {each["error"]["type"]: each for each in _REFUSED}
REFUSED = reply(400, **_REFUSALS["prompt_outputs_failed_validation"])
UNKNOWN_NODE = reply(400, **_REFUSALS["missing_node_type"])


def half_accepted(node_id: str, *outputs: str) -> Answer:
    """A 200 that lists mistakes: one good output is enough."""
    errors = [
        {
            "type": "required_input_missing",
            "message": "Required input is missing",
            "details": "images",
            "extra_info": {"input_name": "images"},
        }
    ]
    wrong = {"errors": errors, "dependent_outputs": [*outputs], "class_type": "SaveImage"}
    return reply(prompt_id=ID, number=38, node_errors={node_id: wrong})


def picture(body: bytes) -> Answer:
    """A file of the server's: ranges are given, outside of it there is nothing."""

    def answer(request: httpx.Request) -> httpx.Response:
        first, last = request.headers["range"].removeprefix("bytes=").split("-")
        if not body:
            return httpx.Response(416)
        part = body[: int(last) + 1] if first else body[-int(last) :]
        return httpx.Response(
            206, content=part, headers={"content-range": f"bytes {first}-{last}/{len(body)}"}
        )

    return answer


# Of `/object_info` of a real server; its one checkpoint is that of the documented graph.
KINDS: dict[str, Json] = json.loads(
    Path("services/mock_comfyui/catalogue.json")
    .read_text(encoding="utf-8")
    .replace("mock.safetensors", "v1-5-pruned-emaonly-fp16.safetensors")
)
