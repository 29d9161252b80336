"""Wrap every activity: the job's id in its log lines, our errors in Temporal's form."""

from typing import Any

import structlog
from prometheus_client import Counter
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from shared.errors import GenvideoError, Stopped, what_kind
from shared.temporal.activities import to_application_error

log = structlog.get_logger(__name__)

# A vendor that is away shows as `never_delivered` or `refused_for_now`, while nothing else rises.
FAILURES = Counter(
    "genvideo_worker_failures", "Tries of activities that failed", ["activity", "code"]
)


class JobInterceptor(Interceptor):
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next)


class _Inbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        with structlog.contextvars.bound_contextvars(
            job_id=info.workflow_id, activity=info.activity_type, attempt=info.attempt
        ):
            try:
                return await super().execute_activity(input)
            except Stopped as error:
                log.info("stopped", reason=error.message)
                raise to_application_error(error) from None
            except GenvideoError as error:
                FAILURES.labels(info.activity_type, error.code).inc()
                log.warning(
                    "activity failed", code=error.code, reason=error.message, **what_kind(error)
                )
                raise to_application_error(error) from None
            except Exception:
                log.exception("activity failed unexpectedly")
                raise
