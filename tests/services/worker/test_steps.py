"""What is said of each stage somewhere is said of every one."""

import pytest

from services.worker.policies import REPORT_POINTS
from shared.jobs.assets import MEDIA_TYPES, SUFFIXES
from shared.jobs.ids import external_id, new_job_id, parse_external_id
from shared.jobs.messages import Attempts
from shared.jobs.states import Step
from shared.semaphore.messages import STAGE_GATES


@pytest.mark.parametrize("said", [SUFFIXES, MEDIA_TYPES, REPORT_POINTS])
def test_a_stage_has_its_kind_of_file_and_its_pace_of_reports(said: dict[Step, object]) -> None:
    assert list(said) == list(Step)


def test_a_stage_has_its_attempts_and_its_gate() -> None:
    steps = [step.value for step in Step]
    assert list(Attempts.model_fields) == [gate.value for gate in STAGE_GATES] == steps
    more = Attempts.model_validate(dict.fromkeys(Step, 2))
    assert Attempts().raised_to(more) == more == more.raised_to(Attempts())


@pytest.mark.parametrize("step", Step)
def test_a_generation_of_any_stage_is_known_by_our_id(step: Step) -> None:
    job_id = new_job_id()
    assert parse_external_id(external_id(job_id, step, 2)) == (job_id, step, 2)
