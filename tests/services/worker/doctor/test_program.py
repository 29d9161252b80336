"""The doctor as a program of its own: it needs no secret of a stack."""

import json
import os
import subprocess
import sys

from services.worker.doctor.__main__ import WRONG


def test_it_runs_with_nothing_set_and_says_what_it_found() -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "IMAGE_SERVICE_URL": "http://127.0.0.1:9",
        "VIDEO_SERVICE_URL": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-m", "services.worker.doctor", "--only", "image"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (WRONG, "")
    found = json.loads(ended.stdout.splitlines()[-1])
    assert [each["verdict"] for each in found["findings"] if each["check"] == "image service"] == [
        "wrong"
    ]
