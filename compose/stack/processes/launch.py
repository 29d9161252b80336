"""Becomes one service of the local mode; it reads its settings anew at every start.

`python launch.py FILE NAME DIGEST`: the digest is there for supervisor to compare. It is run from
a copy, so it imports nothing of ours.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

# In the environment of every process of the local mode: the run folder of its stack.
MARK = "GENVIDEO_RUN_DIR"
# What any program may need of the user's own environment: no key, and no proxy, is among it.
_INHERITED = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|SSL_CERT_FILE|SSL_CERT_DIR"
)


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """What a process of ours gets beside its settings."""
    return {name: value for name, value in environ.items() if _INHERITED.fullmatch(name)}


def main(arguments: list[str]) -> None:
    """Replace this process by the service, with its own settings and nobody else's."""
    file, name = arguments[:2]
    program = json.loads(Path(file).read_text(encoding="utf-8"))[name]
    env = inherited(os.environ) | program["env"] | {MARK: str(Path(file).parent)}
    os.execve(program["command"][0], program["command"], env)  # noqa: S606 - it becomes that


if __name__ == "__main__":
    main(sys.argv[1:])
