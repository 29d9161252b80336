"""What an activity raises: ours in Temporal's form, anything else as it is."""

from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from shared.errors import RefusedForNow, Stopped
from shared.pipeline.interceptor import JobInterceptor


class Raises(ActivityInboundInterceptor):
    """The end of the chain: an activity that fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        raise self._error


async def outcome(error: Exception) -> ApplicationError:
    inbound = JobInterceptor().intercept_activity(Raises(error))
    call = ExecuteActivityInput(fn=print, args=[], executor=None, headers={})
    with pytest.raises(ApplicationError) as raised:
        await ActivityEnvironment().run(inbound.execute_activity, call)
    return raised.value


def counted(code: str) -> float:
    labels = {"activity": ActivityEnvironment().info.activity_type, "code": code}
    return REGISTRY.get_sample_value("genvideo_worker_failures_total", labels) or 0.0


async def test_retryable_error_keeps_the_vendors_retry_after_and_is_counted() -> None:
    before = counted("refused_for_now")
    error = await outcome(RefusedForNow("full", retry_after=7))
    assert (error.type, error.non_retryable) == ("refused_for_now", False)
    assert error.next_retry_delay is not None
    assert error.next_retry_delay.total_seconds() == 7
    assert counted("refused_for_now") == before + 1


async def test_requested_stop_is_no_warning() -> None:
    stopped = Stopped("It was stopped.")
    stopped.details = ({"in_doubt": True},)
    with capture_logs() as lines:
        error = await outcome(stopped)
    assert error.category is ApplicationErrorCategory.BENIGN
    assert (error.type, error.details) == ("stopped", ({"in_doubt": True},))
    assert [line["log_level"] for line in lines] == ["info"]
    assert counted("stopped") == 0


async def test_foreign_errors_are_left_to_temporal() -> None:
    with pytest.raises(KeyError, match="bug"):
        await outcome(KeyError("bug"))
