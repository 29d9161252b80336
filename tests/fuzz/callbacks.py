"""`python -m tests.fuzz.callbacks 20000`: so many made-up bodies for the callback receiver.

No answer is a 500, none tells anything that it shouldn't, no forged one changes anything. Prints
how many of each kind were answered how; exit status 1 at the first that is wrong.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from shared.jobs.tokens import callback_token
from tests.fixtures.temporal import answers, running_server
from tests.fuzz.bodies import MAX_BODY, Sent, requests
from tests.fuzz.target import SECRET, Target, receiving

# Of the bodies so many are made from the receiver's own OpenAPI document.
BY_SCHEMA = 0.25
FINE = {200}
REFUSED = {404, 413, 415, 422}
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]

Tally = Counter[tuple[str, int]]


def _settings(count: int) -> settings:
    return settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


def by_strategies(target: Target, count: int) -> Tally:
    """Requests of our own making."""
    tally: Tally = Counter()

    @given(sent=requests(SECRET, target.targets, target.victims))
    @_settings(count)
    def check(sent: Sent) -> None:
        status, content_type, text = target.send(sent)
        tally["genuine" if sent.genuine else "forged", status] += 1
        assert status in FINE | REFUSED, (status, text)
        assert target.leaked(text) == []
        assert content_type == (
            "application/json" if status in FINE else "application/problem+json"
        )
        json.loads(text)
        if not sent.genuine:
            assert status == 404
        elif len(sent.body) > MAX_BODY:
            assert status in (413, 415)

    check()
    return tally


def by_schema(target: Target, count: int) -> Tally:
    """Requests to every route as its OpenAPI document describes it, and against it."""
    tally: Tally = Counter()
    schema = schemathesis.openapi.from_url(f"{target.base}/openapi.json")
    found: list[Any] = list(schema.get_all_operations())
    operations = [result.ok() for result in found]
    receive = next(each for each in operations if each.path == "/callback/kling")
    for operation in operations:
        _by_operation(target, operation, tally, count=max(10, count // 100))
    _by_operation(target, receive, tally, count=count)
    return tally


def _by_operation(target: Target, operation: Any, tally: Tally, *, count: int) -> None:
    name = operation.path

    @given(case=operation.as_strategy())
    @_settings(count)
    def check(case: Any) -> None:
        if name == "/callback/kling" and tally.total() % 4:
            task = f"{target.targets[tally.total() % len(target.targets)]}.video.1"
            case.query = {"task": task, "token": callback_token(SECRET, task)}
        reply = case.call()
        tally[name, reply.status_code] += 1
        case.validate_response(reply, checks=CHECKS)
        assert target.leaked(reply.text) == []

    check()


def verdict(target: Target) -> list[str]:
    """What was wrong after all: forgeries that had an effect, leaks in the log, a dead process."""
    wrong = []
    for job_id in target.victims:
        rows = httpx.get(f"{target.base}/callbacks", params={"job_id": job_id}).json()
        wrong += [f"{job_id}: {row}" for row in rows if row["fate"] != "rejected"]
        if asyncio.run(target.signals(job_id)):
            wrong.append(f"{job_id} was told something")
    noted = {each.name for each in (target.folder / "callbacks").iterdir()}
    wrong += [f"noted: {job}" for job in noted - {*target.targets, *target.victims}]
    wrong += [f"in the log: {leak}" for leak in target.leaked(target.log())]
    wrong += [line for line in target.log().splitlines() if '"level": "error"' in line]
    if target.process.poll() is not None:
        wrong.append("the receiver has ended")
    return wrong


def run(folder: Path, address: str, namespace: str, *, count: int) -> tuple[Tally, list[str]]:
    """Send so many; how they were answered, and what was wrong."""
    with receiving(folder, address, namespace, jobs=max(20, count // 20)) as target:
        tally = by_schema(target, max(1, round(count * BY_SCHEMA)))
        tally += by_strategies(target, max(1, count - tally.total()))
        return tally, verdict(target)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=20_000)
    count = parser.parse_args().count
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, running_server("--headless") as server:
        asyncio.run(answers(server))
        tally, wrong = run(Path(folder), server.address, "default", count=count)
    for (kind, status), number in sorted(tally.items()):
        sys.stdout.write(f"{kind:40} {status} {number:6}\n")
    took = time.monotonic() - started
    sys.stdout.write(f"{tally.total()} requests in {took:.0f} s, {len(wrong)} wrong\n")
    for each in wrong:
        sys.stdout.write(f"  {each}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
