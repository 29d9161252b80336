"""`python -m services.worker.replay [WORKFLOW] FOLDER`: replay stored histories with the present
code.

WORKFLOW is `package.module:Class` of another pipeline.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from pkgutil import resolve_name

from temporalio.client import WorkflowHistory

from services.worker.workflows import GenVideoWorkflow
from shared.process_exit import run_and_exit
from shared.replay.replaying import replay
from shared.result_line import print_result
from shared.temporal.codec import PayloadKeys

USAGE = 2


async def _histories(files: Sequence[Path]) -> AsyncIterator[WorkflowHistory]:
    for path in files:
        text = await asyncio.to_thread(path.read_text, encoding="utf-8")
        yield WorkflowHistory.from_json(path.stem, text)


def main(arguments: list[str]) -> int:
    """Print the result; the exit status says only whether the replay could be done."""
    *named, folder = arguments or ["?"]
    if len(named) > 1 or not Path(folder).is_dir():
        usage = "usage: python -m services.worker.replay [WORKFLOW] FOLDER (of <job_id>.json)"
        sys.stderr.write(f"{usage}\n")
        return USAGE
    workflow = resolve_name(named[0]) if named else GenVideoWorkflow
    keys = PayloadKeys.parse(os.environ.get("PAYLOAD_KEY", ""))
    files = sorted(Path(folder).glob("*.json"))
    print_result(asyncio.run(replay(_histories(files), keys, workflow)))
    return 0


if __name__ == "__main__":
    run_and_exit(lambda: sys.exit(main(sys.argv[1:])))
