"""Drives a whole stack as a user does: by make and over HTTP, apart from any other stack."""

import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from compose.stack.machine import ports_of_a_stack

ROOT = Path(__file__).resolve().parents[2]
ENDED = {"succeeded", "degraded", "failed", "cancelled"}


def own_settings(data: Path, *, mode: str, project: str) -> dict[str, str]:
    """Settings that share nothing with any other stack of this machine."""
    ports = {name: str(port) for name, port in ports_of_a_stack(workers=2).items()}
    # By their defaults, which follow the ports, whatever another stack of this environment has.
    addresses = dict.fromkeys(("CALLBACK_URL", "API_PUBLIC_URL", "TEMPORAL_UI_URL"), "")
    return (
        ports
        | addresses
        | {
            "MODE": mode,
            "COMPOSE_PROJECT_NAME": project,
            "DATA_DIR": str(data / "data"),
            "REPORTS_DIR": str(data / "reports"),
            "MOCK_SPEED": "100",
            "NO_COLOR": "1",
        }
    )


@dataclass(frozen=True)
class Stack:
    """A stack under its settings, by the code that lies in `root`."""

    settings: dict[str, str]
    root: Path = ROOT

    def make(self, *words: str, good: bool | None = True) -> str:
        """Run a target and return what it printed; by default it must end well, with None it may
        end anyhow.

        Apart from our terminal, whose interrupts are ours to answer.
        """
        drop = ("MAKEFLAGS", "MAKELEVEL", "TEMPORAL_ADDRESS")
        env = {k: v for k, v in os.environ.items() if k not in drop} | self.settings
        done = subprocess.run(
            ["make", *words],
            cwd=self.root,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            start_new_session=True,
        )
        said = f"make {' '.join(words)}:\n{done.stdout}"
        assert good is None or (done.returncode == 0) == good, said
        return done.stdout

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.settings[port]}"

    @property
    def headers(self) -> dict[str, str]:
        """What lets a caller in where a token is set."""
        token = self.settings.get("API_TOKEN")
        return {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, port: str, path: str) -> Any:
        answer = httpx.get(f"{self.url(port)}{path}", headers=self.headers, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def submit(self, prompt: str) -> str:
        body = {"prompt": prompt, "style": "ink", "tag": "stack"}
        url = f"{self.url('API_PORT')}/jobs"
        answer = httpx.post(url, json=body, headers=self.headers, timeout=60)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def follow(self, job_id: str, *, until: Iterable[str]) -> dict[str, Any]:
        """The first state of a job that is one of `until`, a status or a step."""
        wanted = set(until)
        url = f"{self.url('API_PORT')}/jobs/{job_id}/events"
        with httpx.stream("GET", url, headers=self.headers, timeout=60) as events:
            for line in events.iter_lines():
                if line.startswith("data:"):
                    job: dict[str, Any] = json.loads(line.removeprefix("data:"))
                    if {job["status"], job["step"]} & wanted:
                        return job
        raise AssertionError(f"{job_id} ended without one of {wanted}")

    def ledger(self) -> list[dict[str, Any]]:
        both = [self.get(port, "/admin/ledger") for port in ("COMFYUI_PORT", "KLING_PORT")]
        return [row for rows in both for row in rows]


def most_at_once(rows: Iterable[dict[str, Any]]) -> int:
    """By the mocks' clocks: how many generations were open at the same time."""
    edges = [(row["accepted_at"], 1) for row in rows] + [(row["finished_at"], -1) for row in rows]
    most = now = 0
    for _, step in sorted(edges):
        now += step
        most = max(most, now)
    return most
