"""Which mistake is told, of all that an answer names."""

from typing import Any

import httpx
import pytest

from services.worker.vendors.comfyui.answers import refusal, touches


def mistake(message: str, outputs: object) -> dict[str, Any]:
    return {
        "errors": [{"message": message, "details": ""}],
        "dependent_outputs": outputs,
        "class_type": "X",
    }


def test_a_mistake_that_keeps_our_output_from_being_made_is_told_first() -> None:
    errors = {"4": mistake("elsewhere", ["50"]), "6": mistake("ours", ["9"])}
    answer = httpx.Response(400, json={"error": {"message": "all"}, "node_errors": errors})
    assert "node 6 (X): ours" in refusal(answer, output="9").message
    assert "node 4 (X): elsewhere" in refusal(answer, output="7").message


@pytest.mark.parametrize("outputs", [None, 5, True, "19", {"9": 1}])
def test_outputs_that_are_no_list_are_none(outputs: object) -> None:
    errors = {"4": mistake("elsewhere", outputs)}
    assert not touches({"node_errors": errors}, "9")
    assert touches({"node_errors": errors}, "4")
