"""Which job a request belongs to, by a key that is the same in every run."""

from services.mock_core.ledger.generation import JobIndex

PATTERN = r"(?P<job>.+)\.(?P<attempt>\d{1,4})"


def test_attempts_of_one_job_share_its_key() -> None:
    book = JobIndex(PATTERN)
    first, attempt = book.find("job-7.image.1", "猫")
    again, second = book.find("job-7.image.2", "猫")
    assert first is again
    assert (attempt, second) == (1, 2)


def test_the_key_comes_from_the_prompt_and_not_from_the_id() -> None:
    one, _ = JobIndex(PATTERN).find("job-1.image.1", "猫")
    other, _ = JobIndex(PATTERN).find("job-2.image.1", "猫")
    assert one.key == other.key


def test_equal_prompts_are_told_apart_by_their_order() -> None:
    book = JobIndex(PATTERN)
    keys = [book.find(f"job-{n}.image.1", "猫")[0].key for n in range(3)]
    assert [key.rpartition("#")[2] for key in keys] == ["1", "2", "3"]


def test_without_a_pattern_in_the_id_attempts_are_counted() -> None:
    book = JobIndex(PATTERN)
    job, attempt = book.find("own-id", "猫")
    job.accepted += 1
    assert (attempt, book.find("own-id", "猫")) == (1, (job, 2))
