"""Becomes one service of the local mode; it reads its settings anew at every start.

`python launch.py FILE NAME DIGEST`: the digest is there for supervisor to compare. It is run from
a copy, so it imports nothing of ours.
"""

import json
import os
import sys
from pathlib import Path

# In the environment of every process of the local mode: the run folder of its stack.
MARK = "GENVIDEO_RUN_DIR"


def main(arguments: list[str]) -> None:
    """Replace this process by the service, with the caller's environment and its own settings."""
    file, name = arguments[:2]
    program = json.loads(Path(file).read_text(encoding="utf-8"))[name]
    env = dict(os.environ) | program["env"] | {MARK: str(Path(file).parent)}
    os.execve(program["command"][0], program["command"], env)  # noqa: S606 - it becomes that


if __name__ == "__main__":
    main(sys.argv[1:])
