"""How workflow code is run, for workers and replays alike: in the SDK's sandbox, ours passed by."""

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

# Checked by import-linter to hold no clock, no randomness and no I/O; loaded once, not per run.
PASSED_THROUGH = ("shared", "services", "pydantic", "pydantic_core", "annotated_types")


def workflow_runner() -> SandboxedWorkflowRunner:
    """The sandbox for every worker and replayer of ours."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    )
