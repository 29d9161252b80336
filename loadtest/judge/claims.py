"""The claims of the README, and which of them this run has shown; the books alone say so."""

from collections.abc import Callable
from dataclasses import dataclass

from loadtest.judge import findings as kinds
from loadtest.judge.judge import Judgement
from loadtest.judge.measures.callbacks import BY_POLL
from loadtest.judge.rules import files
from loadtest.judge.tried import TIMEOUT, fates, kills, workers

SHOWN, PARTLY = "shown by this run", "shown in part by this run"
NOT_TRIED, BROKEN = "not exercised by this run", "broken by this run"

Told = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim, what this run says of it and by what, and the tests that show it in any case."""

    text: str
    state: str
    why: str
    tests: tuple[str, ...]


def claims(judgement: Judgement) -> list[Claim]:
    """Every claim of the README, in its order."""
    return [
        Claim(text, *told(judgement), tuple(f"tests/{name}" for name in tests))
        for text, (told, tests) in CLAIMS.items()
    ]


def _at_once(judgement: Judgement) -> Told:
    if any(sweep.violations for stage in judgement.stages for sweep in stage.at_once.values()):
        return BROKEN, "more at once than the limit, see the concurrency proof"
    wanted = [s for s in judgement.stages if s.counts["submitted"] > (s.limit or 0)]
    if not wanted:
        return NOT_TRIED, "no stage had more jobs than places"
    stage = max(wanted, key=lambda each: each.counts["submitted"])
    told = [f"{found.most} by {book}" for book, found in stage.at_once.items() if found.intervals]
    text = f"{stage.counts['submitted']} jobs wanted {stage.limit} place(s)"
    return (SHOWN if told else NOT_TRIED), f"{text}; most at once: {', '.join(told) or 'unknown'}"


def _none_lost(judgement: Judgement) -> Told:
    if named := _found(judgement, kinds.LOST, kinds.DUPLICATED, kinds.ORPHANED):
        return BROKEN, f"{named} finding(s), see the conservation ledger"
    jobs = sum(stage.counts["submitted"] for stage in judgement.stages)
    if unread := sorted(judgement.books.unread):
        return NOT_TRIED, f"not all books could be read: {', '.join(unread)}"
    if not jobs or _found(judgement, kinds.STILL_OPEN):
        return NOT_TRIED, "jobs are missing or still open"
    return SHOWN, f"{jobs} jobs submitted, and the same {jobs} in every book"


def _paid_once(judgement: Judgement) -> Told:
    if named := _found(judgement, kinds.CHARGED_TWICE):
        return BROKEN, f"{named} finding(s), see the conservation ledger"
    if not judgement.books.mocked:
        return NOT_TRIED, "the vendors' own books are absent"
    jobs = judgement.books.jobs
    made = sum(len(job.generations) for job in jobs)
    submits = sum(fault.where == "submit" for job in jobs for fault in job.faults)
    again = sum(max(0, a.attempt - 1) for j in jobs for r in j.executions for a in r.activities)
    occasions = f"{submits} submit(s) disturbed, {again} call(s) repeated"
    text = f"{made} generations, each charged once at the most; {occasions}"
    return (SHOWN if submits or again else NOT_TRIED), text


def _callbacks(judgement: Judgement) -> Told:
    if named := _found(judgement, kinds.CALLBACK_LOST, kinds.ORPHANED):
        return BROKEN, f"{named} finding(s), see the callback fates"
    found = fates(judgement)
    counts = {"lost": found[BY_POLL], "late": found["late"], "doubled": found["duplicate"]}
    text = ", ".join(f"{count or 'none'} {name}" for name, count in counts.items())
    if all(counts.values()):
        return SHOWN, text
    return (PARTLY if any(counts.values()) else NOT_TRIED), text


def _taken_over(judgement: Judgement) -> Told:
    killed = kills(judgement)
    struck = [
        job
        for job in judgement.books.jobs
        if any(a.error_class == TIMEOUT for run in job.executions for a in run.activities)
    ]
    if not killed:
        return NOT_TRIED, f"no worker was replaced, of {len(workers(judgement))} that took tasks"
    text = f"{killed} worker(s) replaced, {len(struck)} job(s) were in their hands"
    if any(not job.ended for job in struck):
        return BROKEN, f"{text}, not all of which have ended"
    return (SHOWN if struck else PARTLY), text


def _whole(judgement: Judgement) -> Told:
    if named := _found(judgement, files.KIND):
        return BROKEN, f"{named} finding(s), see the conservation ledger"
    jobs = judgement.books.jobs
    stored = [stored for job in jobs if job.ended for stored in job.files.values()]
    bad = sum(each.problem is not None for each in stored)
    harmed = sum(fault.where == "result" for job in jobs for fault in job.faults)
    text = f"{len(stored)} files read, {harmed} result(s) came damaged before"
    if bad:
        return BROKEN, f"{text}, {bad} of the stored files are not whole"
    return (SHOWN if stored else NOT_TRIED), text


def _found(judgement: Judgement, *of: str) -> int:
    return sum(finding.kind in of for finding in judgement.findings)


CLAIMS: dict[str, tuple[Callable[[Judgement], Told], tuple[str, ...]]] = {
    "never more jobs at once than the limit": (
        _at_once,
        (
            "workflow/test_good_run.py::test_many_jobs_run_one_at_a_time_and_in_order",
            "services/semaphore/test_process.py::test_two_processes_are_no_more_than_one",
        ),
    ),
    "no job lost or doubled": (
        _none_lost,
        (
            "control/test_control.py::test_the_same_jobs_are_in_every_book",
            "workflow/test_restarts.py::test_a_killed_server_comes_back_to_all_that_were_queued",
        ),
    ),
    "no generation paid twice": (
        _paid_once,
        (
            "workflow/test_kill_points.py::test_killed_there_the_job_goes_on_and_is_paid_for_once",
            "workflow/test_failures.py::test_a_submit_whose_reply_was_lost_is_adopted",
        ),
    ),
    "a lost, late or doubled callback changes nothing": (
        _callbacks,
        (
            "workflow/test_race.py::test_callback_never",
            "workflow/test_race.py::test_late_after_the_end",
            "workflow/test_race.py::test_callback_twice",
        ),
    ),
    "a killed worker's job goes on elsewhere": (
        _taken_over,
        ("workflow/test_killed_workers.py::test_the_job_goes_on_elsewhere",),
    ),
    "stored files are whole": (
        _whole,
        (
            "services/worker/results/test_checker.py"
            "::test_a_hostile_file_is_a_bad_one_and_harms_nothing",
        ),
    ),
}
