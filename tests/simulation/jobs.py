"""Instances of workflows, and events as the jobs of an activation, as the SDK's core makes them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.workflow_activation import FireTimer, WorkflowActivationJob
from temporalio.common import Priority, TypedSearchAttributes
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.worker._workflow_instance import WorkflowInstanceDetails

from tests.simulation.history import Event, Marker, Run, timestamp

Job = WorkflowActivationJob


def order(job: Job) -> int:
    """What comes first within an activation; the SDK sorts once more."""
    match job.WhichOneof("variant"):
        case "initialize_workflow":
            return 1
        case "update_random_seed":
            return 3
        case "signal_workflow" | "do_update":
            return 4
        case "resolve_activity" if job.resolve_activity.is_local:
            return 6
    return 5


def initialize(run: Run, args: Payloads) -> Job:
    job = Job()
    init = job.initialize_workflow
    init.workflow_type = run.type
    init.workflow_id = run.workflow_id
    init.arguments.extend(args.payloads)
    init.randomness_seed = run.seed
    init.attempt = 1
    init.first_execution_run_id = run.first_run_id
    init.start_time.CopyFrom(timestamp(run.began))
    return job


def update(update_id: str, name: str, args: Payloads, *, validate: bool) -> Job:
    """An update is handled; `validate`: for the first time."""
    job = Job()
    job.do_update.id = job.do_update.protocol_instance_id = update_id
    job.do_update.name = name
    job.do_update.input.extend(args.payloads)
    job.do_update.run_validator = validate
    return job


def resolve_local(marker: Marker) -> Job:
    job = Job()
    job.resolve_activity.seq = marker.seq
    job.resolve_activity.is_local = True
    _outcome(job, marker.payload, marker.failure)
    return job


def resolve_cancelled(seq: int, type_: str, activity_id: str) -> Job:
    """An activity was given up: nobody waits for what becomes of it."""
    job = Job()
    job.resolve_activity.seq = seq
    failure = _of_activity(type_, activity_id)
    failure.cause.message = "Cancelled"
    failure.cause.canceled_failure_info.SetInParent()
    job.resolve_activity.result.cancelled.failure.CopyFrom(failure)
    return job


def resolve_signal(seq: int, failure: Failure | None) -> Job:
    job = Job()
    job.resolve_signal_external_workflow.seq = seq
    if failure is not None:
        job.resolve_signal_external_workflow.failure.CopyFrom(failure)
    return job


def of_event(run: Run, event: Event, open_activities: dict[int, Any]) -> Iterable[Job]:
    """The jobs of one event; none where it tells nothing new."""
    data, job = event.data, Job()
    match event.kind:
        case "started":
            yield initialize(run, data["args"])
        case "signaled":
            job.signal_workflow.signal_name = data["name"]
            job.signal_workflow.input.extend(data["args"].payloads)
            yield job
        case "cancel_requested":
            job.cancel_workflow.SetInParent()
            yield job
        case "was_reset":
            job.update_random_seed.randomness_seed = data["seed"]
            yield job
        case "timer_fired":
            job.fire_timer.CopyFrom(FireTimer(seq=data["seq"]))
            yield job
        case "external_signaled":
            yield resolve_signal(data["seq"], None)
        case "external_signal_failed":
            yield resolve_signal(data["seq"], _no_such_workflow())
        case "activity_canceled" if data["seq"] in open_activities:
            activity = open_activities.pop(data["seq"])
            yield resolve_cancelled(data["seq"], activity.type, activity.activity_id)
        case "activity_completed" if data["seq"] in open_activities:
            open_activities.pop(data["seq"])
            job.resolve_activity.seq = data["seq"]
            _outcome(job, data["result"], None)
            yield job
        case "activity_failed" | "activity_timed_out" if data["seq"] in open_activities:
            activity = open_activities.pop(data["seq"])
            job.resolve_activity.seq = data["seq"]
            failure = _of_activity(activity.type, activity.activity_id)
            failure.cause.CopyFrom(data["failure"])
            job.resolve_activity.result.failed.failure.CopyFrom(failure)
            yield job


def _outcome(job: Job, payload: Payload | None, failure: Failure | None) -> None:
    result = job.resolve_activity.result
    if failure is not None:
        wrapped = _of_activity("local", str(job.resolve_activity.seq))
        wrapped.cause.CopyFrom(failure)
        result.failed.failure.CopyFrom(wrapped)
    elif payload is not None:
        result.completed.result.CopyFrom(payload)
    else:
        result.completed.SetInParent()


def _of_activity(type_: str, activity_id: str) -> Failure:
    failure = Failure(message="Activity task failed")
    failure.activity_failure_info.activity_type.name = type_
    failure.activity_failure_info.activity_id = activity_id
    return failure


def _no_such_workflow() -> Failure:
    failure = Failure(message="Unable to signal external workflow because it was not found")
    failure.application_failure_info.type = "ExternalWorkflowExecutionNotFound"
    return failure


_DEFINITIONS: dict[type, Any] = {}


def details_of(run: Run, definition: type, converter: PayloadConverter) -> WorkflowInstanceDetails:
    """What the SDK makes an instance of a run's workflow of."""
    if definition not in _DEFINITIONS:
        _DEFINITIONS[definition] = workflow._Definition.must_from_class(definition)
    began = datetime.fromtimestamp(run.began, UTC)
    return WorkflowInstanceDetails(
        payload_converter_factory=lambda: converter,
        failure_converter_class=DefaultFailureConverter,
        interceptor_classes=[],
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
