"""Requests to every route of the four services, made from their OpenAPI documents and against them.

No answer is a failure that was not asked for, and each has a status, a media type and a form that
the document names. More of them by hand: `python -m tests.fuzz.surface 1000`, or with the names of
the services that are meant.
"""

import argparse
import asyncio
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
)
from temporalio.client import Client

from tests.fixtures import temporal
from tests.fixtures.temporal import answers, running_server
from tests.fuzz.services import NAMES, Service, running

CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]
# Operation and status of each answer, and how often.
Seen = Counter[tuple[str, int]]


def explore(
    service: Service, *, examples: int, always_the_same: bool
) -> tuple[Seen, list[BaseException]]:
    """So many requests to each operation, half of them against the document where that can be.

    How they were answered, and the first wrong answer of each operation.
    """
    seen: Seen = Counter()
    wrong: list[BaseException] = []
    schema = schemathesis.openapi.from_url(f"{service.base}/openapi.json")
    found: list[Any] = list(schema.get_all_operations())
    for operation in [result.ok() for result in found]:
        tried = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            # Few at random may all be refusals: the gate tries the same ones each time.
            derandomize=always_the_same,
            suppress_health_check=list(HealthCheck),
        )
        check = tried(_checked(service, operation, seen))
        try:
            given(case=_cases(operation), known=st.integers(0, 2))(check)()
        except (AssertionError, Failure, FailureGroup) as error:
            wrong.append(error)
    return seen, wrong


def _cases(operation: Any) -> st.SearchStrategy[Any]:
    fitting: st.SearchStrategy[Any] = operation.as_strategy()
    if not (operation.query or operation.body or operation.headers):
        return fitting
    bent = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    return st.one_of(fitting, bent)


def _checked(service: Service, operation: Any, seen: Seen) -> Callable[..., None]:
    documented = operation.definition.raw["responses"]

    def check(case: Any, known: int) -> None:
        service.shape(case, known=known > 0)
        reply = case.call(headers=service.headers(case.path), timeout=60)
        service.forget()
        seen[operation.label, reply.status_code] += 1
        what = (operation.label, reply.status_code, reply.content[:300])
        assert str(reply.status_code) in documented, what
        case.validate_response(reply, checks=CHECKS)

    return check


def main() -> int:
    """A larger run by hand, with a server of its own."""
    failed = False
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("examples", type=int)
    parser.add_argument("services", nargs="*", default=list(NAMES), metavar="service")
    wanted = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(running_server("--headless"))
        asyncio.run(answers(server))

        async def connected() -> Client:
            namespace = await temporal._new_namespace(server.address)
            return await temporal._connect(server.address, namespace)

        for name in wanted.services:
            part = Path(folder) / name
            part.mkdir()
            service = stack.enter_context(running(name, connected, part))
            started = time.monotonic()
            seen, wrong = explore(service, examples=wanted.examples, always_the_same=False)
            _tell(name, seen, wrong=wrong, seconds=time.monotonic() - started)
            failed |= bool(wrong)
    return 1 if failed else 0


def _tell(name: str, seen: Seen, *, wrong: list[BaseException], seconds: float) -> None:
    for (label, status), number in sorted(seen.items()):
        sys.stdout.write(f"{number:6d}  {status}  {label}\n")
    for error in wrong:
        sys.stdout.write("\n".join(["", *traceback.format_exception_only(error)]))
    total = f"{seen.total():6d}  requests to {name} in {seconds:.0f} s"
    sys.stdout.write(f"{total}, {len(wrong)} operations wrong\n")


if __name__ == "__main__":
    sys.exit(main())
