"""Generated requests, few of them by default, and every method at every route."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fixtures.temporal import NewClient
from tests.fuzz.surface import NAMES, Service, explore, running

MORE = int(os.environ.get("FUZZ_EXAMPLES", "0"))
EXAMPLES = {"api": 8, "callback": 8, "image": 5, "video": 5}
# Not only refusals: what is generated also gets as far as doing something.
DONE = {
    "api": {("POST /jobs", 202), ("GET /jobs/{job_id}", 200)},
    "callback": {("POST /callback/kling", 200)},
    "image": {("POST /img/submit", 202), ("GET /img/files/{name}", 200)},
    "video": {
        ("POST /video/submit", 202),
        ("GET /v1/videos/image2video/{any_id}", 200),
    },
}
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def service(
    name: str, new_client: NewClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp(name)
    with running(name, new_client, folder) as service:
        yield service


@pytest.mark.timeout(300 + 10 * MORE)
def test_every_answer_is_documented_and_none_is_a_failure(name: str, service: Service) -> None:
    seen, wrong = explore(service, examples=MORE or EXAMPLES[name], always_the_same=not MORE)
    assert wrong == []
    operations = service.app.openapi()["paths"]
    tried = {label for label, _ in seen}
    expected = {
        f"{method.upper()} {path}" for path, calls in operations.items() for method in calls
    }
    assert tried == expected
    assert {each for each in DONE[name] if not seen[each]} == set()


def test_refused_method_gets_the_allowed_ones(service: Service) -> None:
    with httpx.Client(base_url=service.base, headers=service.headers(), timeout=60) as http:
        for path in service.app.openapi()["paths"]:
            address = re.sub(r"{.*?}", "1", path)
            answers = {method: http.request(method, address) for method in METHODS}
            refused = {method for method, answer in answers.items() if _is_refused(answer)}
            allowed = ", ".join(method for method in METHODS if method not in refused)
            assert refused, path
            for method in refused:
                assert answers[method].headers["allow"] == allowed, (method, path)


def _is_refused(answer: httpx.Response) -> bool:
    """The video vendor's own wire knows no 405: it is a 404 of its table."""
    return answer.status_code == 405 or (answer.status_code == 404 and "allow" in answer.headers)
