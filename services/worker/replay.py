"""`python -m services.worker.replay FOLDER`: stored histories against the code as it is now."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from temporalio.client import WorkflowHistory

from services.worker.workflows import GenVideoWorkflow
from shared.process_exit import run_and_exit
from shared.replay.replaying import replay
from shared.telling import tell
from shared.temporal.codec import PayloadKeys

USAGE = 2


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
    files = sorted(folder.glob("*.json"))
    tell(asyncio.run(replay(GenVideoWorkflow, _histories(files), keys)))
    return 0


if __name__ == "__main__":
    run_and_exit(lambda: sys.exit(main(sys.argv[1:])))
