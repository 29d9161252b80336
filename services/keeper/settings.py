"""Settings of the keeper's process."""

from typing import Annotated

from pydantic import Field

from services.keeper.models import MAX_HISTORY, KeeperRules
from shared.settings import CommonSettings, Port, Seconds, StackName
from shared.slots import CAPACITY


class KeeperProcessSettings(CommonSettings):
    """Read from the environment."""

    keeper_http_port: Port = 9099
    stall_seconds: Seconds = 10
    shutdown_seconds: Seconds = 3
    # Below 20 a run would end before it has done anything.
    keeper_max_history: Annotated[int, Field(ge=20, le=20_000)] = MAX_HISTORY

    keeper_capacity: Annotated[int, Field(ge=1, le=CAPACITY)] = CAPACITY
    stack: StackName = ""

    def rules(self) -> KeeperRules:
        """The rules of every run of the keeper that begins from now on."""
        return KeeperRules(
            max_history=self.keeper_max_history, capacity=self.keeper_capacity, stack=self.stack
        )
