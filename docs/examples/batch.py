"""Submits jobs under one tag, follows each by server-sent events, and goes on after a break.

Needs httpx: python docs/examples/batch.py 5 "a red fox in snow"
"""

import json
import os
import sys
import time
import uuid
from collections import Counter
from typing import Any

import httpx

API = os.environ.get("API_URL", "http://127.0.0.1:8000")
TOKEN = os.environ.get("API_TOKEN")
ENDED = {"succeeded", "degraded", "failed", "cancelled"}


def submit(http: httpx.Client, prompt: str, tag: str, *, key: str) -> str:
    """The id of one job; asked again under the same key it starts no other one."""
    order = {"prompt": prompt, "style": "ink", "tag": tag}
    while True:
        answer = http.post("/jobs", json=order, headers={"Idempotency-Key": key})
        if "Retry-After" not in answer.headers:
            break
        time.sleep(int(answer.headers["Retry-After"]))
    answer.raise_for_status()
    return str(answer.json()["job_id"])


def end_of(http: httpx.Client, job_id: str) -> dict[str, Any]:
    """The job once it has ended; a stream that breaks is asked for what came since."""
    job: dict[str, Any] = {}
    last = ""
    while job.get("status") not in ENDED:
        try:
            path, headers = f"/jobs/{job_id}/events", {"Last-Event-ID": last}
            with http.stream("GET", path, headers=headers) as stream:
                for line in stream.iter_lines():
                    field, _, value = line.partition(": ")
                    if field == "data":
                        job = json.loads(value)
                    elif field == "id":
                        last = value
        except httpx.TransportError:
            time.sleep(1)
    return job


def main(count: int, prompt: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
    tag = f"batch-{uuid.uuid4().hex[:8]}"
    with httpx.Client(base_url=API, headers=headers, timeout=30) as http:
        ids = [submit(http, prompt, tag, key=f"{tag}-{number}") for number in range(count)]
        print(f"{tag}: {count} jobs")
        for left, job_id in zip(range(count - 1, -1, -1), ids, strict=True):
            print(f"{job_id} {end_of(http, job_id)['status']}, {left} to go")
        found = http.get("/jobs", params={"tag": tag, "limit": 1000}).json()["jobs"]
        print(dict(Counter(job["status"] for job in found)))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
