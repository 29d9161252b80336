"""Grants out of turn, and views of the slot that lack what was so."""

import base64

import pytest

from loadtest.books import raw
from loadtest.judge.judge import judge
from loadtest.run.stage import SAMPLE_SECONDS
from tests.loadtest.forging.kit import rewrite
from tests.loadtest.synthetic import Row, Synthetic, convicted, exactly, job_id

LAST = job_id(1, 4)


def granted(honest: Synthetic) -> float:
    """When the last job but one began to hold the slot, by the ledger."""
    rows = list(honest.folder.rows(raw.LEDGERS["image"]))
    return float(rows[-2]["accepted_at"]) - 0.01


def look(honest: Synthetic, *moments: float, **shown: object) -> None:
    """Samples at these moments, and no others."""
    row = {"stage": 1, "limit": 1, "paused": False, "draining": 0, "waiting": 1}
    rows = [row | {"at": at, "holders": [job_id(1, 3)]} | shown for at in moments]
    honest.edit(raw.SLOTS, lambda there: there.__setitem__(slice(None), rows))


def heard(honest: Synthetic, at: float) -> None:
    """The semaphore had the request of the last job then, which is the most urgent."""

    def hurry(events: list[Row]) -> None:
        body = events[0]["workflowExecutionStartedEventAttributes"]["input"]
        rewrite(body, lambda job: job.update(priority=1))
        [asked] = [
            event
            for event in events
            if "markerRecordedEventAttributes" in event
            and b"version 1: " in base64.b64decode(event["userMetadata"]["summary"]["data"])
        ]
        asked["eventTime"] = exactly(at)

    honest.history(LAST, hurry)


def test_job_before_its_turn_is_convicted(honest: Synthetic) -> None:
    [started] = [
        float(run["started"])
        for run in honest.folder.rows(raw.EXECUTIONS)
        if run["job_id"] == job_id(1, 0)
    ]
    # The first of the stage finds a free place: it may be granted before its own task ends.
    heard(honest, started + 0.001)
    assert convicted(honest, "turn") == {job_id(1, index) for index in (1, 2, 3)}

    heard(honest, started - 0.001)
    assert convicted(honest, "turn") == {job_id(1, index) for index in (0, 1, 2, 3)}

    heard(honest, granted(honest))
    assert convicted(honest, "turn") == set()


def test_terminated_semaphore_loses_requests(honest: Synthetic) -> None:
    heard(honest, granted(honest) - 1.5)
    assert convicted(honest, "turn") == {job_id(1, 2), job_id(1, 3)}

    struck = [{"kind": "terminate", "target": "semaphore workflow"}]
    honest.replace(raw.CHAOS, {"struck": struck})
    assert convicted(honest, "turn") == set()


@pytest.mark.parametrize(
    ("shown", "rule", "accused"),
    [
        ({"holders": []}, "slots.holders", job_id(1, 3)),
        ({"waiting": 0}, "slots.waiting", job_id(1, 3)),
        ({"places": {LAST: 2}}, "slots.places", LAST),
    ],
)
def test_wrong_view_is_convicted(honest: Synthetic, shown: Row, rule: str, accused: str) -> None:
    moments = [granted(honest) + after for after in (1.02, 1.03, 1.04)]
    look(honest, *moments, places={LAST: 1})
    assert convicted(honest, rule) == set()

    look(honest, *moments, **shown)
    assert accused in convicted(honest, rule)


@pytest.mark.parametrize(
    ("shown", "rule", "limit"),
    [
        ({"holders": []}, "slots.holders", 1),
        ({"holders": []}, "slots.holders", 2),
        ({"waiting": 0}, "slots.waiting", 1),
        ({"waiting": 2}, "slots.waiting", 2),
    ],
)
def test_view_counts_what_the_histories_have(
    honest: Synthetic, shown: Row, rule: str, limit: int
) -> None:
    """Of several places, or beside jobs of others, no instant is known as a whole."""
    honest.told(raw.RUN, limit=limit)
    honest.add(raw.FOREIGN, [{"job_id": "job-other", "known": True}] * (limit == 1))
    moments = [granted(honest) + after for after in (1.02, 1.03, 1.04)]
    look(honest, *moments, limit=limit)
    assert convicted(honest, rule) == set()

    look(honest, *moments, limit=limit, **shown)
    assert convicted(honest, rule) != set()


def test_slow_view_is_judged_over_its_duration(honest: Synthetic) -> None:
    """The API was frozen behind its question, and answered when the holder had long ended."""
    before, after = granted(honest) - 3.0, granted(honest) + 0.9
    look(honest, before, before + 0.1, after, holders=[job_id(1, 0)])
    assert convicted(honest, "slots.holders") == set()

    look(honest, after - 0.2, after - 0.1, after, holders=[job_id(0, 0)])
    assert convicted(honest, "slots.holders") == {job_id(0, 0)}


def test_place_that_stays_free_is_convicted(honest: Synthetic) -> None:
    begin = granted(honest)
    moments = [begin + after for after in (1, 2, 3, 9)]
    look(honest, *moments, limit=2)
    # A semaphore that turns over on a busy machine.
    assert "the run" not in convicted(honest, "slots.limit")

    look(honest, *moments, begin + 11, limit=2)
    assert "the run" in convicted(honest, "slots.limit")


def test_place_free_for_a_moment_is_not(honest: Synthetic) -> None:
    """The places are asked for behind the sample, when the holder may have been followed."""
    moments = [granted(honest) + after for after in (-0.3, -0.2, -0.1)]
    look(honest, *moments, holders=[job_id(1, 2)], places={LAST: 1})
    assert convicted(honest, "slots.places") == set()


@pytest.mark.parametrize(("apart", "convicts"), [(SAMPLE_SECONDS, False), (0.25, True)])
def test_runner_looks_no_sooner_than_it_pauses(
    honest: Synthetic, apart: float, *, convicts: bool
) -> None:
    """As where every instant of a run is told as if all had been twice as fast."""
    begin = granted(honest)
    look(honest, *(begin + apart * number for number in range(21)))
    texts = [each.text for each in judge(honest.folder).findings if each.rule == "slots.at"]
    assert any(text.startswith("looks at the slot were") for text in texts) == convicts
