"""What a worker answers to a workflow task."""

from dataclasses import dataclass, field

from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from tests.simulation.commands import is_end
from tests.simulation.history import Marker


@dataclass(slots=True)
class Answer:
    """What a workflow task comes to."""

    commands: list[WorkflowCommand] = field(default_factory=list)
    markers: list[Marker] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    flags: frozenset[int] = frozenset()
    goes_on: bool = False
    # Responses to updates that a validator has refused.
    refused: list[WorkflowCommand] = field(default_factory=list)

    def end_last(self) -> None:
        """The core moves the command that ends the run behind those that came after it."""
        places = sorted(range(len(self.commands)), key=lambda at: is_end(self.commands[at]))
        self.commands = [self.commands[at] for at in places]
        self.keys = [self.keys[at] for at in places]
