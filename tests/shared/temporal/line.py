"""A workflow whose words depend on the order of what it hears."""

from datetime import timedelta

from temporalio import activity, workflow

SOON = timedelta(minutes=1)


@activity.defn
async def work() -> None:
    """Is ended from outside, when no worker is there."""
    activity.raise_complete_async()


@workflow.defn
class Line:
    """Says something on the end of its activity, and something else on an update."""

    def __init__(self) -> None:
        self._heard: list[str] = []

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(work, activity_id="work", start_to_close_timeout=SOON)
        self._heard.append("end")
        workflow.upsert_memo({"ended": True})
        await workflow.wait_condition(lambda: "ask" in self._heard)

    @workflow.update
    async def ask(self) -> None:
        self._heard.append("ask")

    @workflow.query
    def heard(self) -> list[str]:
        return self._heard
