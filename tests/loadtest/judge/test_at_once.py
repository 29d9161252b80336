"""More at once than the limit is caught, whichever book tells of it."""

from loadtest.books import raw
from loadtest.judge.judge import judge
from tests.loadtest.judge.named import named
from tests.loadtest.synthetic import T0, Synthetic, job_id
from tests.loadtest.synthetic_job import Row


def test_an_overlap_names_both_jobs(honest: Synthetic) -> None:
    def early(rows: list[Row]) -> None:
        rows[3]["accepted_at"] -= 0.5
        rows[3]["started_at"] -= 0.5

    honest.edit(raw.LEDGERS["image"], early)

    judgement = judge(honest.folder)

    overlap = next(finding for finding in judgement.findings if finding.kind == "overlap")
    assert overlap.job_id == job_id(1, 2)
    assert job_id(1, 1) in overlap.text
    assert "max_at_once<=limit: measured 2 in stage 2 (5 jobs)" in judgement.reasons


def test_an_overlap_in_the_records_alone_is_caught(honest: Synthetic) -> None:
    def early(rows: list[Row]) -> None:
        transitions = rows[3]["record"]["transitions"]
        transitions[1]["at"] = rows[2]["record"]["transitions"][1]["at"]

    honest.edit(raw.STATES, early)

    judgement = judge(honest.folder)

    assert judgement.stages[1].at_once["records"].most == 2
    assert judgement.stages[1].at_once["vendors"].most == 1
    assert not judgement.passed


def test_an_overlap_between_two_stages_is_caught(honest: Synthetic) -> None:
    def late(rows: list[Row]) -> None:
        rows[0]["finished_at"] = rows[1]["accepted_at"] + 0.1

    honest.edit(raw.LEDGERS["video"], late)

    assert not judge(honest.folder).passed


def test_another_users_job_counts_for_the_limit(honest: Synthetic) -> None:
    def add(rows: list[Row]) -> None:
        rows.append({**rows[0], "job_id": "x", "external_id": "job-neighbour.image.1"})

    honest.edit(raw.LEDGERS["image"], add)
    honest.add(raw.FOREIGN, [{"job_id": "job-neighbour", "known": True}])

    judgement = judge(honest.folder)

    assert named(judgement, "orphaned") == []
    assert judgement.stages[0].at_once["vendors"].most == 2


def test_what_another_job_left_open_at_the_vendor_ends_with_that_job(honest: Synthetic) -> None:
    def add(rows: list[Row]) -> None:
        left = {**rows[0], "job_id": "x", "external_id": "job-earlier.image.1"}
        rows.append({**left, "accepted_at": T0 - 50, "finished_at": None, "outcome": None})

    honest.edit(raw.LEDGERS["image"], add)
    ended = {"job_id": "job-earlier", "known": True, "finished_at": T0 - 40}
    honest.add(raw.FOREIGN, [ended])
    vendors = honest.folder.read(raw.VENDORS)
    vendors["image"]["stats"]["in_flight"] = vendors["image"]["verdict"]["open"] = 1
    honest.replace(raw.VENDORS, vendors)

    assert judge(honest.folder).passed


def test_a_limit_that_was_never_reached_proves_nothing(honest: Synthetic) -> None:
    def widen(rows: list[Row]) -> None:
        for row in rows:
            row["slots_before"] = {"limit": 2}

    honest.edit(raw.STAGES, widen)

    judgement = judge(honest.folder)

    assert "reached_at_once>=expected: measured 1 in stage 2 (5 jobs)" in judgement.reasons
