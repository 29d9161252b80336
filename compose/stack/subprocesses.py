"""Run other programs; their output is passed through or kept."""

import json
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose.stack.output import UNREACHABLE, StackError, complain, reason_of


class Terminated(KeyboardInterrupt):
    """An interrupt by SIGTERM or SIGHUP, which started programs have not heeded."""


def raise_on_end() -> None:
    """Treat the first SIGTERM, or the SIGHUP of a closed terminal, as an interrupt, so that started
    programs are ended, too.

    One that ends a process group comes twice, because make hands it on: the second one must not
    disturb the end.
    """
    heeded = False

    def terminated(*_: object) -> None:
        nonlocal heeded
        if not heeded:
            heeded = True
            raise Terminated

    signal.signal(signal.SIGTERM, terminated)
    # nohup has it ignored.
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, terminated)
    # A background job of a script starts with interrupts ignored, and would pass that on.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Outcome:
    """Exit status and output of a program that has ended (127 if there is no such program)."""

    status: int
    out: str
    err: str

    @property
    def good(self) -> bool:
        return self.status == 0

    @property
    def last_line(self) -> str:
        """The last line of output, which is mostly the reason."""
        lines = (self.err.strip() or self.out.strip()).splitlines()
        return lines[-1].strip() if lines else f"exit status {self.status}"

    @property
    def found(self) -> dict[str, Any] | None:
        """Return the JSON object that our program printed last, or None."""
        try:
            return dict(json.loads(self.out.splitlines()[-1])) if self.good else None
        except (ValueError, IndexError, TypeError):
            return None


def capture(
    command: Sequence[str],
    env: Mapping[str, str] | None = None,
    *,
    timeout: float | None = None,
    cwd: Path | None = None,
) -> Outcome:
    """Run and keep the output; a missing program or a time-out is an outcome, too."""
    try:
        done = subprocess.run(
            command, env=env, timeout=timeout, cwd=cwd,
            input="", capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return Outcome(127, "", f"{command[0]} is not installed")
    except OSError as error:
        return Outcome(126, "", f"{command[0]} can't be run: {reason_of(error)}")
    except subprocess.TimeoutExpired:
        return Outcome(124, "", f"{command[0]} did not answer within {timeout:g} s")
    return Outcome(done.returncode, done.stdout, done.stderr)


def must(
    command: Sequence[str], env: Mapping[str, str] | None = None, *, doing: str, log: Path
) -> None:
    """Run with the output in a log file; if it fails, report what failed and why."""
    log.parent.mkdir(stat.S_IRWXU, parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(
            command, env=env, check=False,
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    if done.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        reason = lines[-1].strip() if lines else f"exit status {done.returncode}"
        raise StackError(f"{doing} failed: {reason} (all of it: {log})", UNREACHABLE)


def hand_over(
    command: Sequence[str],
    env: Mapping[str, str] | None = None,
    *,
    cwd: Path | None = None,
    interrupt: Sequence[str] = (),
) -> int:
    """Run in the foreground on the user's terminal and return its exit status.

    The terminal passes an interrupt to the program, and we pass on SIGTERM and SIGHUP; then we wait
    until the program has ended. With `interrupt` it hears of no signal: we run that command, again
    as long as it fails, because the program may just be starting.
    """

    def heed_no_hangup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    started = subprocess.Popen(
        command, env=env, cwd=cwd, preexec_fn=heed_no_hangup, start_new_session=bool(interrupt)
    )
    due = False
    with started as process:
        while True:
            try:
                while due and process.poll() is None and not capture(interrupt).good:
                    time.sleep(0.2)
                due = False
                status = process.wait()
            except KeyboardInterrupt as error:
                due = bool(interrupt)
                if not due and isinstance(error, Terminated):
                    process.send_signal(signal.SIGINT)
                continue
            return 128 - status if status < 0 else status


def to_its_end(step: Callable[[], object]) -> None:
    """Complete a step that must not stop halfway: repeat it after an interrupt.

    From a terminal an interrupt reaches the programs of the step as well.
    """
    while True:
        try:
            step()
        except KeyboardInterrupt:
            complain("stopping the started programs; then this command ends")
        else:
            return
