"""The page's own files and the reports: nothing else is served, and nothing in a report runs."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.api.conftest import Api, NewApi


async def test_nothing_but_the_files_of_the_page_is_served(lonely: Api) -> None:
    parts = ["app.js", "lib/dom.js", "app.css", "icon.svg", "texts.json", "errors.json"]
    for name in parts:
        answer = await lonely.http.get(f"/dashboard/{name}")
        assert answer.status_code == 200, name
        assert "script-src 'self'" in answer.headers["content-security-policy"]
    others = ["..%2Fpage.py", "page.py", "none.js", ".js", "a%00.js", "lib/../../http/page.py"]
    for name in (*others, "lib", "lib/"):
        assert (await lonely.http.get(f"/dashboard/{name}")).status_code == 404, name


async def test_a_range_that_does_not_fit_is_a_problem_whatever_file_it_is_of(
    tmp_path: Path, new_lonely: NewApi
) -> None:
    run = "20260101-000000-0000"
    (tmp_path / run).mkdir()
    (tmp_path / run / "report.html").write_text("<p>a report", "utf-8")
    async with new_lonely(reports_dir=tmp_path) as api:
        report = f"/reports/{run}/report.html"
        for url in ("/", "/dashboard/app.js", "/docs/swagger-ui.css", report):
            answer = await api.http.get(url, headers={"Range": f"bytes={10**9}-"})
            assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
            assert answer.headers["content-type"] == "application/problem+json"
            part = await api.http.get(url, headers={"Range": "bytes=0-1"})
            assert part.status_code == 206


async def test_a_report_is_served_where_nothing_in_it_runs_and_no_link_is(
    tmp_path: Path, new_lonely: NewApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    def iterdir(folder: Path, real: Callable[[Path], Iterator[Path]] = Path.iterdir) -> Any:
        looked.append(threading.get_ident())
        return real(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    plain, linked, inside = (f"20260101-000000-000{number}" for number in range(3))
    secret, reports = tmp_path / "report.html", tmp_path / "reports"
    secret.write_text("a secret", "utf-8")
    for run in (plain, linked):
        (reports / run).mkdir(parents=True)
    (reports / plain / "report.html").write_text("<p>a report", "utf-8")
    (reports / linked / "report.html").symlink_to(secret)
    (reports / inside).symlink_to(tmp_path)
    (reports / plain / "raw").mkdir()
    (reports / plain / "raw" / "jobs.jsonl").write_text("<script>", "utf-8")
    (reports / plain / "raw" / "linked.jsonl").symlink_to(secret)
    async with new_lonely(reports_dir=reports) as api:
        http = api.http
        answer = await http.get(f"/reports/{plain}/report.html")
        assert answer.text == "<p>a report"
        policy = answer.headers["content-security-policy"]
        # A link of an origin of its own would carry no session to an exposed API.
        assert "sandbox allow-same-origin allow-popups;" in policy
        assert "default-src 'none'" in policy
        assert "script" not in policy
        listed = await http.get(f"/reports/{plain}/raw/")
        assert '<a href="jobs.jsonl">' in listed.text
        assert [thread == threading.get_ident() for thread in looked] == [False]
        raw = await http.get(f"/reports/{plain}/raw/jobs.jsonl")
        assert (raw.text, raw.headers["content-type"]) == ("<script>", "text/plain; charset=utf-8")
        assert {raw.headers["content-security-policy"], policy} == {policy}
        for name in ("raw/linked.jsonl", "raw", "raw/%2e%2e/report.html", ""):
            assert (await http.get(f"/reports/{plain}/{name}")).status_code == 404, name
        for run in (linked, inside, "..", f"{plain}%2f..%2f{linked}"):
            assert (await http.get(f"/reports/{run}/report.html")).status_code == 404
