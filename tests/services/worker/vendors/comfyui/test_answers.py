"""A ComfyUI's answers about a prompt, and what its refusals mean."""

import json
from typing import Any

import httpx
import pytest

from services.worker.graphs.graph import MAX_BYTES
from services.worker.vendors.comfyui.answers import refusal, touches
from services.worker.vendors.comfyui.calls import Calls
from services.worker.vendors.comfyui.images import ComfyuiImages
from shared.pipeline.vendor import VendorStatus
from tests.fixtures.present import present
from tests.services.worker.graphs.examples import example, plan_of
from tests.services.worker.vendors.comfyui import bodies
from tests.services.worker.vendors.comfyui.bodies import CANCEL, DONE, FREE, ID, IMAGE, JOB, OURS
from tests.services.worker.vendors.comfyui.clients import URL, Silent, images_at, status, told
from tests.services.worker.vendors.stub import StubVendor, reply


async def test_success_has_the_file_of_the_bound_node() -> None:
    other = {"images": [{"filename": "other.png", "subfolder": "", "type": "output"}]}
    found = await told(bodies.completed({"50": other, "9": {"images": [IMAGE]}}))
    assert found == VendorStatus(vendor_id=ID, state="succeeded", url=URL)


async def test_temporary_file_counts_only_for_a_named_preview() -> None:
    preview = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
    named: dict[str, Any] = {"nodes": example(n9=preview), "output": "9"}
    temporary = {"filename": "ComfyUI_temp_a_00001_.png", "subfolder": "", "type": "temp"}
    done = bodies.completed({"9": {"images": [temporary]}})
    assert (await told(done, **named)).state == "succeeded"
    assert (await told(done)).state == "failed"
    both = bodies.completed({"9": {"images": [temporary, IMAGE]}})
    assert (await told(both, **named)).url == URL


@pytest.mark.parametrize(
    "outputs", [{}, {"9": {"text": ["猫"]}}, {"9": {"images": [{}]}}, {"9": 5}]
)
async def test_success_without_a_file_is_final(outputs: dict[str, Any]) -> None:
    found = await told(bodies.completed(outputs))
    assert (found.state, found.final) == ("failed", True)
    assert "its node 9 (genvideo:output) gave no file" in found.message


async def test_outputs_of_an_interrupted_run_are_no_success() -> None:
    found = await told(bodies.failed("cancelled", bodies.INTERRUPTED, {"9": {"images": [IMAGE]}}))
    assert (found.state, found.url, found.final) == ("failed", None, False)
    assert found.message == "It was cancelled at the ComfyUI."


async def test_cancelled_run_ends_when_the_server_says_so() -> None:
    """Its cancel is granted at once, and takes effect at the next node."""
    words = ("in_progress", "in_progress", "cancelled")
    answers = {CANCEL: [reply(cancelled=True)], JOB: [bodies.job(word) for word in words]}
    states = []
    images = images_at(StubVendor(answers))
    for _ in words:
        found = await images.status(OURS)
        states.append(found and found.state)
        await images.cancel(ID)
    assert states == ["running", "running", "failed"]


async def test_only_completed_is_a_success() -> None:
    found = await told(bodies.completed({"9": {"images": [IMAGE]}}, completed=False))
    assert found.state == "failed"


@pytest.mark.parametrize(
    ("kind", "final"),
    [
        ("RuntimeError", False),
        ("torch.OutOfMemoryError", False),
        ("FileNotFoundError", True),
        ("PIL.UnidentifiedImageError", True),
        ("TypeError", True),
        ("ValueError", True),
    ],
)
async def test_failed_run_has_a_reason_without_the_servers_folders(kind: str, final: bool) -> None:
    message = "cannot identify '/opt/ComfyUI/input/bad.png' or 'C:\\ComfyUI\\input\\bad.png'\n"
    answers = {JOB: [bodies.failed("failed", bodies.execution_error(kind, message))], FREE: [DONE]}
    found = present(await status(answers))
    assert (found.state, found.final) == ("failed", final)
    name = kind.rpartition(".")[2]
    assert found.message.startswith(f"node 3 (KSampler): {name}: cannot identify")
    assert "bad.png" in found.message
    for kept in ("/opt", "C:", "input", "execution.py", "Traceback"):
        assert kept not in found.message


async def test_failure_is_read_whatever_the_size_of_the_graph() -> None:
    """The whole graph is in the answer three times, with an escape for each character."""
    text = "é" * (MAX_BYTES // 2 - 1024)
    nodes = example()
    nodes["6"]["inputs"]["text"] = text
    name, error = bodies.execution_error("TypeError", "no")
    error |= {"current_inputs": {"text": [text]}}
    status = {"status_str": "error", "completed": False, "messages": [[name, error]]}
    graph = {"6": {"class_type": "X", "inputs": {"text": text}}}
    body = {"status": "failed", "execution_status": status, "execution_error": error}
    content = json.dumps(body | {"workflow": {"prompt": graph}})
    found = await told(lambda _: httpx.Response(200, text=content), nodes=nodes)
    assert (found.state, found.message) == ("failed", "node 3 (KSampler): TypeError: no")


async def test_server_out_of_memory_is_asked_once_to_free_some() -> None:
    answer = bodies.failed("failed", bodies.execution_error("torch.OutOfMemoryError", "CUDA"))
    vendor = StubVendor({JOB: [answer], FREE: [bodies.TROUBLE]})
    images = images_at(vendor)
    for _ in range(2):
        found = present(await images.status(OURS))
        assert (found.state, found.final) == ("failed", False)
    assert vendor.asked == [JOB, FREE, JOB]
    assert vendor.body(1) == {"unload_models": True, "free_memory": True}


async def test_listening_ends_with_the_run() -> None:
    vendor = StubVendor({JOB: [bodies.job("in_progress"), bodies.completed({"9": IMAGE})]})
    silent = Silent()
    http = vendor.client()
    images = ComfyuiImages(Calls(http), plan_of(example()), silent, {})
    await images.status(OURS)
    assert silent.ended == []
    await images.status(OURS)
    assert silent.ended == [ID]


def mistake(message: str, outputs: object) -> dict[str, Any]:
    return {
        "errors": [{"message": message, "details": ""}],
        "dependent_outputs": outputs,
        "class_type": "X",
    }


def test_mistake_that_prevents_our_output_comes_first() -> None:
    errors = {"4": mistake("elsewhere", ["50"]), "6": mistake("ours", ["9"])}
    answer = httpx.Response(400, json={"error": {"message": "all"}, "node_errors": errors})
    assert "node 6 (X): ours" in refusal(answer, output="9").message
    assert "node 4 (X): elsewhere" in refusal(answer, output="7").message


@pytest.mark.parametrize("outputs", [None, 5, True, "19", {"9": 1}])
def test_invalid_outputs_are_ignored(outputs: object) -> None:
    errors = {"4": mistake("elsewhere", outputs)}
    assert not touches({"node_errors": errors}, "9")
    assert touches({"node_errors": errors}, "4")
