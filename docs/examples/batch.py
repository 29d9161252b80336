"""Submits a batch, follows it by server-sent events, and goes on where a broken stream stopped.

Needs httpx: python docs/examples/batch.py 5 "a red fox in snow"
"""

import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx

API = os.environ.get("API_URL", "http://127.0.0.1:8000")
TOKEN = os.environ.get("API_TOKEN")
ENDED = {"succeeded", "degraded", "failed", "cancelled"}


def submit(http: httpx.Client, count: int, prompt: str) -> tuple[str, set[str]]:
    """The batch's tag and its jobs; asked again under the same key it starts no job twice."""
    order = {"count": count, "job": {"prompt": prompt, "style": "ink"}}
    key = {"Idempotency-Key": uuid.uuid4().hex}
    while True:
        answer = http.post("/batches", json=order, headers=key)
        if answer.status_code not in (429, 503):
            break
        time.sleep(int(answer.headers["Retry-After"]))
    answer.raise_for_status()
    batch = answer.json()
    return batch["tag"], set(batch["job_ids"])


def changes(http: httpx.Client) -> Iterator[dict[str, Any]]:
    """Every job, then each change of any, for ever; `id` is where to go on after a break."""
    last = ""
    while True:
        try:
            with http.stream("GET", "/events", headers={"Last-Event-ID": last}) as stream:
                for line in stream.iter_lines():
                    field, _, value = line.partition(": ")
                    if field == "data":
                        yield json.loads(value)
                    elif field == "id":
                        last = value
        except httpx.TransportError:
            time.sleep(1)


def main(count: int, prompt: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
    with httpx.Client(base_url=API, headers=headers, timeout=30) as http:
        tag, waiting = submit(http, count, prompt)
        print(f"batch {tag}: {count} jobs")
        for job in changes(http):
            if job["job_id"] in waiting and job["status"] in ENDED:
                waiting.remove(job["job_id"])
                print(f"{job['job_id']} {job['status']}, {len(waiting)} to go")
            if not waiting:
                break
        batch = http.get(f"/batches/{tag}").json()
        print(f"{batch['percent']} %: {batch['counts']}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
