"""The commands behind the make targets; every failure ends as one line and an exit status."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from compose.stack import namespace
from compose.stack.commands import (
    bench,
    develop,
    doctor,
    lifecycle,
    mocks,
    prove,
    runs,
    status,
    trial,
)
from compose.stack.given import raise_wrong
from compose.stack.output import INTERRUPTED, USAGE, StackError, complain, reason_of
from compose.stack.settings import Settings, load, load_for_down, read
from compose.stack.subprocesses import raise_on_end
from shared.texts import replace_unprintable

ROOT = Path(__file__).resolve().parents[2]
ENV = os.environ
Command = Callable[[Settings, list[str]], int | None]

# Name -> number of words, and function; the settings are checked before.
COMMANDS: dict[str, tuple[int, Command]] = {
    "up": (0, lambda settings, _: lifecycle.up(settings, force=ENV.get("FORCE") == "1")),
    "down": (0, lambda settings, _: lifecycle.down(settings)),
    "clean": (0, lambda settings, _: lifecycle.clean(settings, sure=ENV.get("YES") == "1")),
    "try": (0, lambda settings, _: trial.run(settings, ENV)),
    "jobs": (1, lambda settings, words: runs.jobs(settings, words[0], ENV)),
    "ladder": (0, lambda settings, _: runs.ladder(settings, ENV)),
    "prove": (0, lambda settings, _: prove.prove(settings, ENV)),
    "report": (0, lambda settings, _: runs.report(settings, ENV)),
    "mocks": (1, lambda settings, words: lifecycle.switch_mocks(settings, words[0], ENV)),
    "fault": (0, lambda settings, _: mocks.arm(settings, ENV)),
    "faults": (0, lambda settings, _: mocks.show(settings)),
    "faults-clear": (0, lambda settings, _: mocks.clear(settings)),
    "slot-free": (0, lambda settings, _: mocks.free_slot(settings, ENV)),
    "ps": (0, lambda settings, _: status.ps(settings)),
    "logs": (0, lambda settings, _: status.logs(settings, ENV)),
    "urls": (0, lambda settings, _: status.urls(settings)),
    "namespace": (0, lambda settings, _: namespace.prepare(settings, ENV)),
    "doctor": (0, lambda settings, _: doctor.doctor(settings)),
}
# Commands that need no running stack and no settings.
STANDALONE: dict[str, Callable[[], int]] = {
    "bench": lambda: bench.bench(ROOT, ENV),
    "chaos": lambda: develop.suite(ROOT, "chaos", ENV),
    "simulate": lambda: develop.suite(ROOT, "simulation", ENV),
    "mutants": lambda: develop.suite(ROOT, "mutants", ENV),
    "test": lambda: develop.test(ROOT, ENV),
    "check": lambda: develop.check(ROOT),
    "lock": lambda: develop.lock(ROOT),
    "wheel": lambda: develop.run(ROOT, "tools.wheel"),
    "example-exclusive": lambda: develop.run(ROOT, "examples.exclusive.check"),
    "example-speech": lambda: develop.run(ROOT, "examples.speech.check"),
    "pictures": lambda: develop.run(ROOT, "tools.pictures"),
}


def main(arguments: Sequence[str]) -> int:
    raise_on_end()
    replace_unprintable()
    try:
        return _dispatch(list(arguments)) or 0
    except StackError as error:
        complain(str(error), style="bad")
        return error.status
    except OSError as error:
        # A folder without write permission, a full disk, a closed pipe.
        complain(f"{error.filename or 'output'}: {reason_of(error)}", style="bad")
        return USAGE
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED


def _dispatch(arguments: list[str]) -> int | None:
    name, words = "".join(arguments[:1]), arguments[1:]
    if name in STANDALONE and not words:
        raise_wrong(read(ROOT, ENV).misnamed)
        return STANDALONE[name]()
    if name not in COMMANDS or len(words) != COMMANDS[name][0]:
        known = ", ".join([*COMMANDS, *STANDALONE])
        raise StackError(f"usage: compose/stack.sh COMMAND, one of: {known}")
    settings = (load_for_down if name == "down" else load)(ROOT, ENV)
    return COMMANDS[name][1](settings, words)
