"""The standstill after a strike, from the mocks' clocks."""

from pathlib import Path

from loadtest.books.load import load
from tests.chaos.recovery import to_next_step
from tests.loadtest.synthetic import Synthetic, job_id
from tests.loadtest.synthetic_job import IMAGE


def test_it_lasts_to_the_next_step_of_any_job(tmp_path: Path) -> None:
    books = load(Synthetic(tmp_path).write().folder)
    [image] = next(job for job in books.jobs if job.job_id == job_id(0, 0)).of("image")
    began = image.accepted or 0.0
    strikes = [("kill", began + 0.1), ("kill", began + 0.25), ("cut", began + 9999.0)]

    found = to_next_step(books, [{"kind": kind, "epoch": at} for kind, at in strikes])

    assert found == {"kill": {"median": 0.125, "longest": round(IMAGE - 0.1, 3)}}
