"""`python -m tools.bench.mocks`: the figures of both mocks in docs/performance.md.

1000 jobs in flight, each polled once a second. Prints what it measured.
"""

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass

import httpx

from tests.fixtures.processes import cpu_seconds, resident_megabytes
from tools.bench.processes import Connection, mock_process, say

IN_FLIGHT = 1_000
CONNECTIONS = 20
POLL_SECONDS = 20
_QUIET_SECONDS = 0.05


@dataclass
class Thousand:
    """The connections, and the jobs that each of them asks for."""

    port: int
    lines: list[Connection]
    ids: list[list[str]]

    @classmethod
    async def submit(cls, port: int, path: str, body: dict[str, str]) -> "Thousand":
        lines = [await Connection.open(port) for _ in range(CONNECTIONS)]
        jobs = await asyncio.gather(
            *(_submit_share(line, path, body, first=first) for first, line in enumerate(lines))
        )
        return cls(port, lines, list(jobs))

    async def ask(self, path: str) -> int:
        """Each job's status once a second; the number of answers."""
        # The server has closed those that were silent for a while.
        self.lines = [await Connection.open(self.port) for _ in self.lines]
        shares = zip(self.lines, self.ids, strict=True)
        answers = await asyncio.gather(*(_ask_share(line, path, ids) for line, ids in shares))
        for line in self.lines:
            line.close()
        return sum(answers)


async def _submit_share(
    line: Connection, path: str, body: dict[str, str], *, first: int
) -> list[str]:
    ids = []
    for number in range(first, IN_FLIGHT, CONNECTIONS):
        told = {key: value.replace("@", str(number)) for key, value in body.items()}
        ids.append(json.loads(await line.post(path, json.dumps(told).encode()))["job_id"])
    return ids


async def _ask_share(line: Connection, path: str, ids: list[str]) -> int:
    for _ in range(POLL_SECONDS):
        next_round = time.monotonic() + 1
        for job_id in ids:
            await line.get(f"{path}/{job_id}")
        await asyncio.sleep(max(next_round - time.monotonic(), 0))
    return len(ids) * POLL_SECONDS


def measure_polling(module: str, port_name: str, seconds: str, *, paths: tuple[str, str]) -> None:
    body = (
        {"prompt": "cat @", "client_id": "job-@.image.1"}
        if module == "mock_comfyui"
        else {"prompt": "cat @", "image_url": "@", "external_task_id": "job-@.video.1"}
    )
    with contextlib.ExitStack() as stack:
        if module == "mock_kling":
            other, _ = stack.enter_context(mock_process("mock_comfyui", "COMFYUI_PORT"))
            body["image_url"] = picture_url(other)
        port, pid = stack.enter_context(
            mock_process(module, port_name, MOCK_SPEED="1", **{seconds: "36000"})
        )
        idle = cpu_seconds(pid)
        time.sleep(5)
        idle = (cpu_seconds(pid) - idle) / 5
        say(f"{module}: at rest {idle * 100:.1f} % of a core, {resident_megabytes(pid):.0f} MB")
        asyncio.run(_measured(module, port, pid, paths=paths, body=body))


async def _measured(
    module: str, port: int, pid: int, *, paths: tuple[str, str], body: dict[str, str]
) -> None:
    thousand = await Thousand.submit(port, paths[0], body)
    # Their pictures and videos are made at once; what is measured begins after that.
    busy = True
    while busy:
        used = cpu_seconds(pid)
        await asyncio.sleep(1)
        busy = cpu_seconds(pid) - used > _QUIET_SECONDS
    before, since = cpu_seconds(pid), time.monotonic()
    answers = await thousand.ask(paths[1])
    passed = time.monotonic() - since
    core = (cpu_seconds(pid) - before) / passed
    say(
        f"{module}: {IN_FLIGHT} in flight, {answers} status calls in {passed:.1f} s: "
        f"{core * 100:.0f} % of a core, {resident_megabytes(pid):.0f} MB"
    )


def picture_url(port: int) -> str:
    base = f"http://127.0.0.1:{port}"
    job_id = httpx.post(f"{base}/img/submit", json={"prompt": "cat"}).json()["job_id"]
    while (reply := httpx.get(f"{base}/img/result/{job_id}")).status_code != 200:
        time.sleep(0.05)
    return str(reply.json()["asset_url"])


def main() -> None:
    measure_polling(
        "mock_comfyui", "COMFYUI_PORT", "MOCK_IMAGE_SECONDS", paths=("/img/submit", "/img/status")
    )
    measure_polling(
        "mock_kling", "KLING_PORT", "MOCK_VIDEO_SECONDS", paths=("/video/submit", "/video/status")
    )


if __name__ == "__main__":
    main()
