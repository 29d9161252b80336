"""What a worker's activities work with; made once for the process."""

from collections.abc import Mapping
from dataclasses import dataclass

from temporalio.client import Client

from shared.pipeline.definition import Definition
from shared.pipeline.settings import PipelineWorkerSettings
from shared.pipeline.storage import Storage
from shared.pipeline.vendor import Vendor


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The settings, and the clients of Temporal, of the pipeline's vendors and of the store.

    `vendors`: by role.
    """

    settings: PipelineWorkerSettings
    client: Client
    vendors: Mapping[str, Vendor]
    storage: Storage

    @property
    def pipeline(self) -> Definition:
        return self.settings.pipeline

    def vendor(self, stage: str) -> Vendor:
        return self.vendors[self.pipeline.stage(stage).vendor]
