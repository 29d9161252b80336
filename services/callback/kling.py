"""The body of Kling's callbacks, which another video service sends as well."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from shared.pipeline.callbacks import Reported, TaskStatus, VendorId


class _Vendor(BaseModel):
    """A vendor's message, which may gain fields at any time."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TaskInfo(_Vendor):
    """Our id of the task, as the vendor returns it."""

    external_task_id: VendorId | None = None


class Callback(_Vendor):
    """The vendor's body; `updated_at` in ms since 1970."""

    task_id: VendorId
    task_status: TaskStatus
    updated_at: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    task_status_msg: str | None = None
    task_info: TaskInfo | None = None


def read(body: Any) -> Reported:
    """Read a body, bare or enveloped; a ValidationError names each wrong field."""
    # `{code, message, request_id, data}` in some copies of the vendor's documentation.
    if isinstance(body, dict) and "task_id" not in body and isinstance(body.get("data"), dict):
        body = body["data"]
    found = Callback.model_validate(body)
    return Reported(
        task_id=found.task_id,
        task_status=found.task_status,
        updated_at=found.updated_at,
        message=found.task_status_msg or "",
        external_id=found.task_info.external_task_id if found.task_info else None,
    )
