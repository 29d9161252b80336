"""Instances of workflows, made as a worker of the SDK makes them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.api.common.v1 import Payloads
from temporalio.common import Priority, TypedSearchAttributes
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInterceptorClassInput
from temporalio.worker._workflow_instance import WorkflowInstance, WorkflowInstanceDetails

from shared.temporal.unfit import UnfitPassedOver
from tests.simulation.runs import Run

RUNNER = UnsandboxedWorkflowRunner()
_DEFINITIONS: dict[type, Any] = {}
INTERCEPTORS = [
    UnfitPassedOver().workflow_interceptor_class(
        WorkflowInterceptorClassInput(unsafe_extern_functions={})
    )
]


def new_instance(run: Run, definition: type, converter: PayloadConverter) -> WorkflowInstance:
    """An instance of a run's workflow that has done nothing yet."""
    if definition not in _DEFINITIONS:
        _DEFINITIONS[definition] = workflow._Definition.must_from_class(definition)
    began = datetime.fromtimestamp(run.began, UTC)
    details = WorkflowInstanceDetails(
        payload_converter_factory=lambda: converter,
        failure_converter_class=DefaultFailureConverter,
        interceptor_classes=INTERCEPTORS,
        defn=_DEFINITIONS[definition],
        info=workflow.Info(
            attempt=1,
            continued_run_id=run.continued_from or None,
            cron_schedule=None,
            execution_timeout=None,
            first_execution_run_id=run.first_run_id,
            headers={},
            namespace="default",
            original_execution_run_id=run.original_run_id,
            parent=None,
            root=None,
            raw_memo={},
            retry_policy=None,
            run_id=run.run_id,
            run_timeout=None,
            search_attributes={},
            start_time=began,
            workflow_start_time=began,
            task_queue=run.queue,
            task_timeout=timedelta(seconds=run.task_timeout),
            typed_search_attributes=TypedSearchAttributes([]),
            workflow_id=run.workflow_id,
            workflow_type=run.type,
            priority=Priority.default,
        ),
        randomness_seed=run.seed,
        extern_functions={"__temporal_assert_local_activity_valid": lambda activity: None},
        disable_eager_activity_execution=True,
        worker_level_failure_exception_types=[],
        patch_activation_callback=None,
        last_completion_result=Payloads(),
        last_failure=None,
    )
    return RUNNER.create_instance(details)
