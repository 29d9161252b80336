"""Becomes one service of the embedded mode; it reads its settings anew at every start.

`python -m compose.stack.launch FILE NAME DIGEST`: the digest is there for supervisor to compare.
"""

import json
import os
import sys
from pathlib import Path

from compose.stack.adrift import MARK


def main(arguments: list[str]) -> None:
    """Replace this process by the service, with the caller's environment and its own settings."""
    file, name = arguments[:2]
    program = json.loads(Path(file).read_text(encoding="utf-8"))[name]
    env = dict(os.environ) | program["env"] | {MARK: str(Path(file).parent)}
    os.execve(program["command"][0], program["command"], env)  # noqa: S606 - it becomes that


if __name__ == "__main__":
    main(sys.argv[1:])
