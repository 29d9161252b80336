"""Has services look at their settings, each as `python -m MODULE --check` would, in one go.

What all of them import first takes longer than what each does then, so it is imported once. Each is
a process of its own nevertheless, with its own code and settings and nobody else's.

`python checking.py`, run by the environment's interpreter: what `request` makes comes in, and what
`outcomes` reads goes out.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

COMMON = "pydantic_settings"
FAILED, TIMED_OUT = 1, 124


def request(programs: Sequence[tuple[str, Path, Mapping[str, str]]], *, seconds: int) -> str:
    """For modules, each with the folder that it is in and its whole environment.

    A service has so many seconds.
    """
    asked = [
        {"module": module, "home": str(home), "env": dict(env)} for module, home, env in programs
    ]
    return json.dumps({"programs": asked, "seconds": seconds})


def outcomes(said: str) -> list[tuple[int, str]]:
    """Exit status, and what was printed, of each module that was asked for."""
    return [(status, text) for status, text in json.loads(said)]


def main() -> None:
    """Answer the request."""
    asked = json.load(sys.stdin)
    gc.disable()
    importlib.import_module(COMMON)
    programs, seconds = asked["programs"], asked["seconds"]
    begun = [(program, *_begun(program, seconds)) for program in programs]
    json.dump([_ended(*each, seconds=seconds) for each in begun], sys.stdout)


def _begun(program: dict[str, Any], seconds: int) -> tuple[int, IO[bytes]]:
    said = tempfile.TemporaryFile()  # noqa: SIM115 - it is read when the process has ended
    child = os.fork()
    if not child:
        signal.alarm(seconds)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(said.fileno(), stream.fileno())
        _become(program)
    return child, said


def _become(program: dict[str, Any]) -> NoReturn:
    os.environ.clear()
    os.environ.update(program["env"])
    sys.path.insert(0, program["home"])
    sys.argv[1:] = ["--check"]
    status = _status(program["module"])
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


def _status(module: str) -> int:
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except BaseException:
        traceback.print_exc()
        return FAILED
    return 0


def _ended(
    program: dict[str, Any], child: int, said: IO[bytes], *, seconds: int
) -> tuple[int, str]:
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGALRM:
        return TIMED_OUT, f"{program['module']} did not answer within {seconds} s"
    said.seek(0)
    return code, said.read().decode(errors="replace")


if __name__ == "__main__":
    main()
