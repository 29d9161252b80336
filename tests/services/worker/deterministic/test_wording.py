"""What Temporal's UI says of a job are sentences, and a summary fits into what the server takes."""

from datetime import UTC, datetime

import pytest

from services.worker.deterministic.journal import SAYS, details_of, summary_of
from shared.jobs.messages import Attempts, JobError, JobInput, Record
from shared.jobs.states import Status, Step

AT = datetime(2026, 1, 1, tzinfo=UTC)
QUEUED = Record.of(
    JobInput(prompt="a red fox", style="ink"), job_id="job-1", run_id="run", created_at=AT
)


def record(**fields: object) -> Record:
    return QUEUED.model_copy(update={"version": 3, **fields})


def test_a_running_job_tells_its_attempt_and_how_far_it_is() -> None:
    running = record(
        status=Status.RUNNING, step=Step.VIDEO, percent=40, attempts=Attempts(image=1, video=2)
    )

    assert details_of(running, "40 %") == (
        "**The video is being made, attempt 2 of 4: 40 % of it are done.**\n\n"
        "Noted last, as version 3 of its record: 40 %."
    )


def test_a_failed_job_tells_why() -> None:
    error = JobError(code="bad_result", message="The file is cut short.")

    said = details_of(record(status=Status.FAILED, error=error), "failed (bad_result)")

    assert said.startswith(
        "**The job has failed.**\n\nWhy: The file is cut short. (bad_result)\n\nNoted last"
    )


@pytest.mark.parametrize("status", Status)
def test_every_state_has_its_sentence(status: Status) -> None:
    assert SAYS[status].endswith(".")
    assert details_of(record(status=status), "noted.").count("..") == 0


def test_the_summary_of_a_long_note_is_one_line_that_the_server_takes() -> None:
    said = summary_of(record(), "video, attempt 1 failed:\n" + "𝄞" * 300)

    assert said.startswith("version 3: video, attempt 1 failed: 𝄞")
    assert said.endswith("…")
    assert len(said.encode()) < 400
