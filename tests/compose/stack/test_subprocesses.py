"""A command that is stopped stops its children; output and input of other programs."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from compose.stack.cli import ROOT
from compose.stack.subprocesses import capture, must

CHILD = """
import sys, time
print("begun", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("tidying", flush=True)
    sys.stdin.readline()
    print("tidied up", flush=True)
    sys.exit(7)
"""
PARENT = f"""
import sys
from compose.stack.subprocesses import hand_over, raise_on_end
raise_on_end()
sys.exit(hand_over([sys.executable, "-c", {CHILD!r}]))
"""


@pytest.mark.parametrize("ignored", ["", "trap '' INT; "], ids=["foreground", "background"])
def test_sigterm_is_passed_on_as_an_interrupt(ignored: str) -> None:
    """A job in the background of a script is born with interrupts ignored."""
    command = ["bash", "-c", f'{ignored}exec "$0" "$@"', sys.executable, "-c", PARENT]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "tidying\n"
        # From make, which got the group's signal, too.
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate("\n", timeout=60)
    assert (said, process.returncode) == ("tidied up\n", 7)


@pytest.mark.parametrize("nohup", [False, True], ids=["terminal", "nohup"])
def test_closed_terminal_is_an_interrupt_except_under_nohup(*, nohup: bool) -> None:
    """The terminal's SIGHUP reaches the whole process group. The tests may run under nohup, too."""
    begun = ["nohup"] if nohup else ["env", "--default-signal=HUP"]
    with subprocess.Popen(
        [*begun, sys.executable, "-c", PARENT], cwd=ROOT, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        status = Path(f"/proc/{process.pid}/status").read_text()
        ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
        os.killpg(process.pid, signal.SIGKILL if nohup else signal.SIGHUP)
        said, _ = process.communicate("\n", timeout=60)
    # SIGHUP has the lowest bit.
    assert (said, ignored & 1) == (("", 1) if nohup else ("tidying\ntidied up\n", 0))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_program_with_an_interrupt_of_its_own_hears_no_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    """As Compose, which leaves a container running at a signal. The first try fails here."""
    os.mkfifo(tmp_path / "told")
    interrupt = ["sh", "-c", f"cd {tmp_path}; mkdir tried && exit 1; echo told > told"]
    child = f"print('begun', flush=True); print(open({str(tmp_path / 'told')!r}).read(), end='')"
    parent = f"""
import sys
from compose.stack.subprocesses import hand_over, raise_on_end
raise_on_end()
hand_over([sys.executable, "-c", {child!r}], interrupt={interrupt!r})
"""
    with subprocess.Popen(
        ["env", "--default-signal=HUP", sys.executable, "-c", parent],
        cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        os.killpg(process.pid, number)
        said, _ = process.communicate(timeout=60)
    assert (said, process.returncode) == ("told\n", 0)


def test_output_of_a_program_is_private(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "build.log"
    must([sys.executable, "-c", "print('a path of ours')"], doing="building", log=log)
    assert log.read_text() == "a path of ours\n"
    assert stat.S_IMODE(log.parent.stat().st_mode) == 0o700


def test_program_that_cannot_be_run_is_an_outcome(tmp_path: Path) -> None:
    (tmp_path / "docker").touch()

    assert capture([str(tmp_path / "docker")]).err.endswith("can't be run: Permission denied")
    assert capture([str(tmp_path / "podman")]).err.endswith("is not installed")
