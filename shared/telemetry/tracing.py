"""Traces of jobs: nothing is loaded, and each of these does nothing, until they are switched on.

A trace has the digits of its job, so whoever knows the job is in its trace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from temporalio.client import Interceptor as ClientInterceptor
    from temporalio.worker import Interceptor as WorkerInterceptor

    from shared.telemetry.spans import Spans

Value = str | int
_spans: Spans | None = None


def configure(url: str | None, *, headers: Mapping[str, str], service: str) -> None:
    """Switch them on where there is somebody to send them to; before any client is made."""
    global _spans
    if url is not None:
        from shared.telemetry.spans import Spans

        _spans = Spans(url, headers=headers, service=service)


def stop() -> None:
    """Send what is left, and switch them off."""
    global _spans
    if _spans is not None:
        _spans.stop()
    _spans = None


def client_interceptors() -> Sequence[ClientInterceptor]:
    """What makes calls to Temporal part of the trace in which they are made."""
    return _spans.client_interceptors() if _spans else ()


def worker_interceptors() -> Sequence[WorkerInterceptor]:
    """What makes workflows and activities part of the trace of whoever started them."""
    return _spans.worker_interceptors() if _spans else ()


def beginning(job_id: str, **noted: Value) -> AbstractContextManager[None]:
    """A job's trace begins with this block; one that fails has begun nothing."""
    return _spans.beginning(job_id, noted) if _spans else nullcontext()


def of_job(job_id: str, name: str, **noted: Value) -> AbstractContextManager[None]:
    """A block in the trace of a job, wherever it runs."""
    return _spans.of_job(job_id, name, noted) if _spans else nullcontext()


def call(method: str, host: str) -> AbstractContextManager[None]:
    """A call over HTTP, in the trace in which it is made."""
    return _spans.call(method, host) if _spans else nullcontext()


def note(**noted: Value) -> None:
    """Add to the present span; `spans.NOTED` are the names that are let out."""
    if _spans:
        _spans.note(noted)
