"""Lists and their filters; source of the cases: comfyui-capture-2.txt, section 08."""

import pytest

from tests.services.mock_comfyui.native.client import history_of, queue, simple_graph
from tests.services.mock_core.serving import Service

VALID = "Valid values: pending, in_progress, completed, failed, cancelled"


@pytest.fixture
async def ids(image_mock: Service) -> list[str]:
    """Five that have ended, in order."""
    found = []
    for color in range(5):
        info = {"extra_pnginfo": {"workflow": {"id": f"wf-{color}"}}}
        answer = await queue(image_mock, simple_graph(color), extra_data=info)
        await history_of(image_mock, answer["prompt_id"])
        found.append(str(answer["prompt_id"]))
    return found


@pytest.mark.parametrize(
    ("query", "expected", "pages"),
    [
        ("", [4, 3, 2, 1, 0], {"offset": 0, "limit": None, "total": 5, "has_more": False}),
        ("?status=%20COMPLETED%20,", [4, 3, 2, 1, 0], None),
        ("?status=FAILED", [], None),
        ("?limit=2", [4, 3], {"offset": 0, "limit": 2, "total": 5, "has_more": True}),
        ("?limit=5000", [4, 3, 2, 1, 0], None),
        ("?limit=2&offset=2", [2, 1], {"offset": 2, "limit": 2, "total": 5, "has_more": True}),
        (
            "?offset=-3",
            [4, 3, 2, 1, 0],
            {"offset": 0, "limit": None, "total": 5, "has_more": False},
        ),
        ("?sort_order=asc", [0, 1, 2, 3, 4], None),
        ("?workflow_id=zzz", [], None),
        ("?workflow_id=wf-3", [3], None),
    ],
)
async def test_jobs_are_filtered_and_sorted(
    image_mock: Service, ids: list[str], query: str, expected: list[int], pages: object
) -> None:
    body = await image_mock.json(f"/api/jobs{query}")
    assert [ids.index(job["id"]) for job in body["jobs"]] == expected
    assert pages in (None, body["pagination"])


async def test_the_longest_comes_first_where_it_is_asked_for(
    image_mock: Service, ids: list[str]
) -> None:
    jobs = (await image_mock.json("/api/jobs?sort_by=execution_duration"))["jobs"]
    lengths = [job["execution_end_time"] - job["execution_start_time"] for job in jobs]
    assert (lengths, len(jobs)) == (sorted(lengths, reverse=True), len(ids))
    jobs = (await image_mock.json("/api/jobs?sort_by=execution_duration&sort_order=asc"))["jobs"]
    shortest = jobs[0]["execution_end_time"] - jobs[0]["execution_start_time"]
    assert shortest == lengths[-1]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=0", "limit must be a positive integer"),
        ("limit=-1", "limit must be a positive integer"),
        ("limit=abc", "limit must be an integer"),
        ("offset=abc", "offset must be an integer"),
        ("status=nope", f"Invalid status value(s): nope. {VALID}"),
        ("sort_by=nope", "sort_by must be 'created_at' or 'execution_duration'"),
        ("sort_order=nope", "sort_order must be 'asc' or 'desc'"),
    ],
)
async def test_filters_that_are_none(image_mock: Service, query: str, said: str) -> None:
    reply = await image_mock.http.get(f"/api/jobs?{query}")
    assert (reply.status_code, reply.json()) == (400, {"error": said})


async def test_pages_of_the_history(image_mock: Service, ids: list[str]) -> None:
    for query, expected in (
        ("", [0, 1, 2, 3, 4]),
        ("?max_items=2", [3, 4]),
        ("?max_items=0", []),
        ("?max_items=-1", []),
        ("?offset=1", [1, 2, 3, 4]),
        ("?offset=1&max_items=2", [1, 2]),
        ("?offset=-1&max_items=1", [4]),
    ):
        found = [ids.index(key) for key in await image_mock.json(f"/history{query}")]
        assert (query, found) == (query, expected)
    for query in ("?max_items=abc", "?max_items=", "?offset=abc"):
        assert (await image_mock.http.get(f"/history{query}")).status_code == 500


@pytest.mark.parametrize("path", ["/history", "/queue"])
async def test_a_list_that_is_none_is_the_servers_trouble(image_mock: Service, path: str) -> None:
    assert (await image_mock.post(path, {"delete": None})).status_code == 500
    assert (await image_mock.http.post(path)).status_code == 500
    assert (await image_mock.post(path, {"delete": ["nope", 5]})).status_code == 200
