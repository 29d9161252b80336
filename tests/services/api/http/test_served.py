"""The page's own files: nothing else is served."""

from tests.services.api.conftest import Api


async def test_only_the_files_of_the_page_are_served(lonely: Api) -> None:
    parts = ["app.js", "lib/dom.js", "app.css", "icon.svg", "texts.json", "errors.json"]
    for name in parts:
        answer = await lonely.http.get(f"/dashboard/{name}")
        assert answer.status_code == 200, name
        assert "script-src 'self'" in answer.headers["content-security-policy"]
    outside = ["..%2Fhttp%2Fpage.py", "..%2F..%2F..%2Fshared%2Ftexts%2Fpage.json"]
    others = [*outside, "index.html", "none.js", ".js", "a%00.js"]
    for name in (*others, "lib", "lib/"):
        assert (await lonely.http.get(f"/dashboard/{name}")).status_code == 404, name


async def test_wrong_range_is_a_problem_for_every_file(lonely: Api) -> None:
    for url in ("/", "/dashboard/app.js", "/docs/swagger-ui.css"):
        answer = await lonely.http.get(url, headers={"Range": f"bytes={10**9}-"})
        assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
        assert answer.headers["content-type"] == "application/problem+json"
        part = await lonely.http.get(url, headers={"Range": "bytes=0-1"})
        assert part.status_code == 206
