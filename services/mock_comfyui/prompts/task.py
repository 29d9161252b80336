"""A prompt in the queue: its number, its graph, and the messages that its history will keep."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from services.mock_comfyui.prompts.execution import Output, Work
from services.mock_comfyui.prompts.validation import Graph
from services.mock_core.ledger.generation import Generation
from services.mock_core.lib.times import milliseconds
from services.mock_core.runner.planned_run import PlannedRun


@dataclass(slots=True, eq=False)
class Task:
    generation: Generation
    number: float
    graph: Graph
    # The output nodes that are to run.
    outputs: list[str]
    extra: dict[str, Any]
    client_id: str | None
    # What the fault plan has decided; None for a prompt of the plain wire.
    planned: PlannedRun | None = None
    # Whether its extra data has the time at which it came; that of old servers has not.
    is_dated: bool = True
    created: int = field(default_factory=lambda: milliseconds(time.time()))
    messages: list[list[Any]] = field(default_factory=list)
    # Decided when it begins, by what is cached then.
    work: Work | None = None
    # Nodes told so far: node id -> (value, max)
    told: dict[str, tuple[float, float]] = field(default_factory=dict)
    current: str | None = None
    executed: list[str] = field(default_factory=list)
    # What its output nodes have made so far.
    results: dict[str, Output] = field(default_factory=dict)
    # Heeded at its next node or step.
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> str:
        return self.generation.id

    @property
    def queue_row(self) -> list[Any]:
        return [self.number, self.id, self.graph, self.extra_data, self.outputs]

    @property
    def extra_data(self) -> dict[str, Any]:
        return {**self.extra, **({"create_time": self.created} if self.is_dated else {})}
