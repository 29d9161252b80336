"""`python -m services.worker.replay FOLDER`: stored histories against the code as it is now."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from services.worker.workflows import GenVideoWorkflow
from shared.codec import PayloadKeys, data_converter
from shared.leaving import run_and_leave
from shared.sandbox import workflow_runner

USAGE = 2


async def replay(files: Sequence[Path], keys: PayloadKeys) -> dict[str, object]:
    """`{"replayed": n, "failures": {job_id: why}}` for files named `<job_id>.json`."""
    replayer = Replayer(
        workflows=[GenVideoWorkflow],
        data_converter=data_converter(keys),
        workflow_runner=workflow_runner(),
    )
    replayed, failures = 0, {}
    async with replayer.workflow_replay_iterator(_histories(files)) as results:
        async for result in results:
            replayed += 1
            if result.replay_failure is not None:
                failures[result.history.workflow_id] = str(result.replay_failure)
    return {"replayed": replayed, "failures": failures}


async def _histories(files: Sequence[Path]) -> AsyncIterator[WorkflowHistory]:
    for path in files:
        text = await asyncio.to_thread(path.read_text, encoding="utf-8")
        yield WorkflowHistory.from_json(path.stem, text)


def main(arguments: list[str]) -> int:
    """Print what came of it; the exit status says only whether it could be done."""
    folder = Path(arguments[0]) if len(arguments) == 1 else None
    if folder is None or not folder.is_dir():
        sys.stderr.write("usage: python -m services.worker.replay FOLDER (of <job_id>.json)\n")
        return USAGE
    keys = PayloadKeys.parse(os.environ.get("PAYLOAD_KEY", ""))
    found = asyncio.run(replay(sorted(folder.glob("*.json")), keys))
    # A line of its own, for the SDK logs to the same stream.
    sys.stdout.write(f"\n{json.dumps(found)}\n")
    return 0


if __name__ == "__main__":
    run_and_leave(lambda: sys.exit(main(sys.argv[1:])))
