"""Who may listen: the page's origin, and how many listen at once."""

import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from shared.jobs.ids import new_job_id
from tests.services.api.conftest import Api, NewApi
from tests.services.api.http.test_access import is_problem
from tests.shared.standins import sample_record


@pytest.mark.parametrize("path", ["/ws/jobs", "/ws/jobs/job-0123456789abcdef01234567"])
async def test_a_foreign_page_opens_no_socket(api: Api, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(api.sockets + path, proxy=None, origin="https://evil.example")  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body or b"")["code"] == "foreign_origin"

    async with connect(f"{api.sockets}/ws/jobs", proxy=None, origin=api.base):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize(
    ("path", "status", "fields"),
    [
        ("/ws/jobs?mrak=true&since=1&since=2", 422, ["mrak", "since"]),
        ("/ws/jobs?mark=maybe", 422, ["mark"]),
        ("/ws/jobs/job-0123456789abcdef01234567?since=x&mark=true", 422, ["mark"]),
        ("/ws/job", 404, None),
        ("/jobs", 404, None),
    ],
)
async def test_a_socket_that_can_not_be_is_a_problem(
    lonely: Api, path: str, *, status: int, fields: list[str] | None
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(lonely.sockets + path, proxy=None)
    answer = refused.value.response
    assert answer.headers["content-type"] == "application/problem+json"
    problem = json.loads(answer.body or b"")
    assert answer.status_code == problem["status"] == status
    assert fields is None or [each["field"] for each in problem["errors"]] == fields


async def test_listeners_are_limited_however_they_listen(lonely: Api, new_api: NewApi) -> None:
    record = lonely.write(sample_record(new_job_id()))
    async with new_api(lonely.service.client, api_max_sockets=2) as small:
        paths = [f"/ws/jobs/{record.job_id}", "/ws/jobs"]
        async with (
            connect(small.sockets + paths[0], proxy=None) as one,
            connect(small.sockets + paths[1], proxy=None) as every,
        ):
            await one.recv()
            await every.recv()
            with pytest.raises(InvalidStatus) as refused:
                await connect(small.sockets + paths[1], proxy=None)
            stream = await small.http.get(f"/jobs/{record.job_id}/events")
            everything = await small.http.get("/events")

    assert refused.value.response.status_code == 429
    assert refused.value.response.headers["retry-after"] == "5"
    for answer in (stream, everything):
        assert is_problem(answer, 429, "too_many_listeners")


async def test_listeners_of_one_address_are_limited(lonely: Api, new_api: NewApi) -> None:
    async with new_api(lonely.service.client, api_sockets_per_address=1) as small:
        async with connect(f"{small.sockets}/ws/jobs", proxy=None):
            refused = await small.http.get("/events")
        assert is_problem(refused, 429, "too_many_listeners")
