"""Callbacks of which none arrives: who polls alone is told apart from whom nobody hears."""

from loadtest.books import raw
from loadtest.judge.judge import judge
from loadtest.judge.tried import tried
from tests.loadtest.synthetic import Synthetic
from tests.loadtest.synthetic_job import Row

VIDEO = raw.LEDGERS["video"]


def _unheard(run: Synthetic, **more: object) -> None:
    def change(rows: list[Row]) -> None:
        for row in rows:
            row |= more
            for told in row["callbacks"]:
                told |= {"reply": None, "error": "ConnectError"}

    run.edit(VIDEO, change)
    run.edit(raw.RECEIPTS, list.clear)
    run.edit(raw.TEMPORAL, lambda rows: [row.update(signals=row["signals"][:1]) for row in rows])


def _found(run: Synthetic) -> list[str]:
    return [f.text for f in judge(run.folder).findings if f.kind == "callback"]


def _sampled(run: Synthetic, *cpu: float) -> None:
    row = {"name": "callback", "rss": 1.0, "fds": 1.0}
    run.add(raw.PROCESSES, [row | {"at": float(at), "cpu": spent} for at, spent in enumerate(cpu)])


def test_each_stage_in_which_none_arrived_is_convicted(honest: Synthetic) -> None:
    _unheard(honest)
    _sampled(honest, 1.0, 2.0)

    texts = _found(honest)
    assert [text.split(" arrived")[0] for text in texts] == [
        "none of the 3 callbacks of stage 1 (1 job)",
        "none of the 15 callbacks of stage 2 (5 jobs)",
    ]


def test_a_receiver_that_was_killed_may_have_lost_them(honest: Synthetic) -> None:
    _unheard(honest)
    _sampled(honest, 2.0, 0.1)

    assert _found(honest) == []


def test_who_polls_alone_is_told_so(honest: Synthetic) -> None:
    _unheard(honest, calls_back=False, callbacks=[])

    assert _found(honest) == []
    [said] = [t for t in tried(judge(honest.folder)) if t.name == "callbacks that go wrong"]
    assert (said.tried, said.text) == (
        False,
        "the vendor was told no address: every end was polled",
    )
