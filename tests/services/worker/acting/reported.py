"""Stands for whoever is told how far a generation is."""

from temporalio.service import RPCError, RPCStatusCode

from shared.jobs.messages import ProgressReport

IMAGE = "job-0123456789abcdef01234567.image.1"


class Reports:
    """Stands for the client and its handle; keeps the percents, or refuses them."""

    def __init__(self, *, refuse: bool = False) -> None:
        self.percents: list[int] = []
        self.positions: list[int | None] = []
        self.waiting: list[str] = []
        self._refuse = refuse

    def get_workflow_handle(self, workflow_id: str, *, run_id: str) -> "Reports":
        return self

    async def signal(self, name: str, report: ProgressReport) -> None:
        if self._refuse:
            raise RPCError("gone", RPCStatusCode.NOT_FOUND, b"")
        assert report.external_id == IMAGE
        if report.waiting:
            self.waiting.append(report.waiting)
        else:
            self.percents.append(report.percent)
            self.positions.append(report.position)
