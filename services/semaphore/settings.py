"""Settings of the semaphore's process."""

from typing import Annotated

from pydantic import Field

from shared.semaphore.messages import CAPACITY
from shared.semaphore.state import MAX_HISTORY, SemaphoreRules
from shared.settings.common import PollingSettings, Port, Seconds
from shared.settings.pipelines import PipelineSettings
from shared.temporal.pace import Pace


class SemaphoreProcessSettings(PipelineSettings, PollingSettings):
    """Settings from the environment."""

    semaphore_http_port: Port = 9099
    # The name of the stack, which its semaphores carry; empty if it has none.
    stack: Annotated[str, Field(pattern="^([a-z0-9-]{1,40})?$")] = ""
    shutdown_seconds: Seconds = 3
    # With fewer events a run would end before it has done anything.
    semaphore_max_history: Annotated[int, Field(ge=20, le=4000)] = MAX_HISTORY

    semaphore_capacity: Annotated[int, Field(ge=1, le=CAPACITY)] = CAPACITY
    pace: Pace = Pace.FAST

    def rules(self) -> SemaphoreRules:
        """The rules of every run of the semaphore that begins from now on."""
        times = self.pace.times
        return SemaphoreRules(
            max_history=self.semaphore_max_history,
            capacity=self.semaphore_capacity,
            stack=self.stack,
            watch_seconds=times.watch.total_seconds(),
            beat_seconds=times.work.total_seconds(),
            sticky_seconds=times.sticky.total_seconds(),
            care_seconds=times.care.total_seconds(),
        )
