"""A payload is read and written without asking the sandbox whose it is, for that says nothing."""

import pytest
from temporalio.converter import WorkflowSerializationContext
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from shared.temporal.codec import PayloadKeys, data_converter
from tests.replay.test_replay import HISTORIES, replay
from tests.shared.temporal.test_codec import NEW


async def test_the_sandbox_is_entered_for_the_workflow_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []
    made = SandboxedWorkflowRunner.create_instance

    def noting(*args: object) -> object:
        instance = made(*args)  # type: ignore[arg-type]
        for name in ("get_serialization_context", "get_external_store_context"):
            monkeypatch.setattr(instance, name, asked.append)
        return instance

    monkeypatch.setattr(SandboxedWorkflowRunner, "create_instance", noting)
    await replay(HISTORIES["gated"])
    assert asked == []


@pytest.mark.parametrize("keys", ["", NEW], ids=["plain", "encrypted"])
def test_no_part_of_the_converter_would_make_use_of_it(keys: str) -> None:
    converter = data_converter(PayloadKeys.parse(keys))
    of_a_run = converter.with_context(WorkflowSerializationContext("default", "job-1"))
    for part in ("payload_converter", "payload_codec", "failure_converter", "external_storage"):
        assert getattr(of_a_run, part) is getattr(converter, part)
