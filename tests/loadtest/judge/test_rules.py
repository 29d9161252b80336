"""The rules convict each kind of lie about a finished run, and no run that nobody has bent."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.books import raw
from loadtest.books.facts import StoredFile
from loadtest.books.raw import RunFolder
from loadtest.judge.judge import Judgement, judge
from loadtest.judge.rules.jobs import _same
from loadtest.judge.threshold import DEFAULTS
from loadtest.judge.tried import tried
from loadtest.report.page import BAD, Block, Notice, Table, Tiles
from loadtest.report.write import sections
from loadtest.run.plan import Options
from tests.loadtest.forging import families
from tests.loadtest.forging.kit import FORGERIES, Forger, Forgery
from tests.loadtest.forging.recorded import KINDS, PLAIN, unpack
from tests.loadtest.synthetic import Row, Synthetic, job_id

SEEDS = (1, 2)

assert families


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return unpack(PLAIN, tmp_path_factory.mktemp("run") / "plain")


def test_there_are_enough_of_them() -> None:
    assert len(FORGERIES) * len(SEEDS) >= 120
    assert len({lie.name for lie in FORGERIES}) == len(FORGERIES)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("lie", FORGERIES, ids=lambda lie: lie.name)
def test_it_is_convicted(finished: RunFolder, tmp_path: Path, lie: Forgery, seed: int) -> None:
    forger = Forger(finished, tmp_path / "run", seed=seed)
    named = set(lie.tell(forger))
    forger.seal()

    judgement = judge(forger.folder)

    said = "\n".join(judgement.reasons)
    assert not judgement.passed
    assert not named or any(job in said for job in named), f"{named} in:\n{said}"


INTERRUPTED = "interrupted"
GOOD = [kind for kind in KINDS if kind != INTERRUPTED]


def reds(judgement: Judgement) -> Iterator[str]:
    for section in sections(judgement):
        for block in section.blocks:
            for text in _reds(block):
                yield f"{section.title}: {text}"


def _reds(block: Block) -> Iterator[str]:
    match block:
        case Notice(tone=tone, text=text) if tone == BAD:
            yield text
        case Table(rows=rows):
            yield from (str(cells) for cells in rows if any(cell.tone == BAD for cell in cells))
        case Tiles(tiles=tiles):
            yield from (name for name, _, tone in tiles if tone == BAD)


def test_there_are_enough_good_runs() -> None:
    assert len(GOOD) >= 20


@pytest.mark.parametrize("kind", GOOD)
def test_it_passes(kind: str, tmp_path: Path) -> None:
    judgement = judge(unpack(kind, tmp_path / kind))

    assert judgement.reasons == []
    assert judgement.passed
    assert judgement.books.seal.broken == ()
    if {condition.text for condition in judgement.conditions} == set(DEFAULTS):
        assert list(reds(judgement)) == []


def test_one_that_was_interrupted_says_so_and_nothing_else(tmp_path: Path) -> None:
    judgement = judge(unpack(INTERRUPTED, tmp_path / "run"))

    assert not judgement.passed
    assert any("the run went to its end: interrupted" in text for text in judgement.reasons)
    assert {finding.kind for finding in judgement.findings} == {"still open"}


NAME = job_id(0, 0)
TIMED_OUT = "EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT"


@pytest.fixture
def run(tmp_path: Path) -> Synthetic:
    return Synthetic(tmp_path, plan=Options(stages="1", seed="7").plan()).write()


def _shown_early(rows: list[Row]) -> None:
    """Its first version is written by a task that comes too late, and then once more."""
    for row in rows:
        if row["version"] == 1:
            row["at"] -= 2.0


def _without_the_video(rows: list[Row]) -> None:
    """The history tells of the image alone, since the video was stored in vain."""
    for row in rows:
        row["results"] = [{"vendor_id": "x", "token": None, "sha256": "another"}]


def _throw_away(run: Synthetic) -> None:
    path = run.folder.histories / f"{NAME}.json"
    events = json.loads(path.read_text("utf-8"))["events"]
    events.insert(-1, {"eventTime": events[-1]["eventTime"], "eventType": TIMED_OUT})
    told = [event | {"eventId": str(number)} for number, event in enumerate(events, 1)]
    path.write_text(json.dumps({"events": told}), "utf-8")
    run.edit(raw.TEMPORAL, lambda rows: [row.update(events=len(told)) for row in rows])


def _found(run: Synthetic, kind: str) -> list[str]:
    return [f.text for f in judge(run.folder).findings if f.kind == kind]


def test_a_version_may_be_shown_before_it_was_so_in_the_end(run: Synthetic) -> None:
    run.edit(raw.FRAMES, _shown_early)
    assert any("before version 1 was so" in text for text in _found(run, "causality"))

    _throw_away(run)
    assert _found(run, "causality") == []


def test_a_file_may_be_stored_without_a_word_in_the_history(run: Synthetic) -> None:
    run.edit(raw.TEMPORAL, _without_the_video)
    assert "its video is none that its history brought" in _found(run, "file")

    _throw_away(run)
    assert _found(run, "file") == []


def test_a_permit_may_be_heard_of_late_but_not_asked_for_late(run: Synthetic) -> None:
    def late(rows: list[Row]) -> None:
        for row in rows:
            row["granted"] += 0.5
            row["signals"] = [[n, at + 0.5 * (n == "slot_granted")] for n, at in row["signals"]]

    run.edit(raw.TEMPORAL, late)
    assert not any("before the permit" in text for text in _found(run, "causality"))

    def asked(rows: list[Row]) -> None:
        for row in rows:
            row["activities"][0]["started"] += 0.5

    run.edit(raw.TEMPORAL, asked)
    assert any("before the permit" in text for text in _found(run, "causality"))


def test_a_permit_counts_from_the_scheduling_of_what_was_begun_again(run: Synthetic) -> None:
    """The history tells the last try alone, and the one before had the image accepted."""

    def again(rows: list[Row]) -> None:
        for row in rows:
            row["granted"] += 0.5
            row["signals"] = [[n, at + 0.5 * (n == "slot_granted")] for n, at in row["signals"]]
            row["activities"][0]["started"] += 0.5
            row["activities"][0]["attempt"] = attempt

    attempt = 1
    run.edit(raw.TEMPORAL, again)
    assert any("before the permit" in text for text in _found(run, "causality"))

    attempt = 2
    run.edit(raw.TEMPORAL, again)
    assert not any("before the permit" in text for text in _found(run, "causality"))


def test_a_permits_echo_may_come_after_the_end(run: Synthetic) -> None:
    """The server takes no signal for a closed run; the permit itself is in history and record."""

    def without(rows: list[Row]) -> None:
        for row in rows:
            row["granted"], row["signals"] = None, row["signals"][1:]

    path = run.folder.histories / f"{NAME}.json"
    told = path.read_text("utf-8").replace("slot_granted", "x")
    told = told.replace("workflowExecutionSignaledEventAttributes", "y", 1)
    path.write_text(told, "utf-8")
    run.edit(raw.TEMPORAL, without)
    judgement = judge(run.folder)
    assert (judgement.passed, judgement.findings) == (True, [])
    assert [found.at_once["temporal"].most for found in judgement.stages] == [1]

    run.edit(raw.STATES, lambda rows: [row["record"].update(token=None) for row in rows])
    assert _found(run, "history") == ["no permit is in its history"]


def test_a_permit_that_is_heard_of_late_has_not_fallen(tmp_path: Path) -> None:
    """Another one's, given later, had been given back by then."""
    run = Synthetic(tmp_path, plan=Options(stages="2", seed="7").plan()).write()

    def late(rows: list[Row]) -> None:
        rows[0]["granted"] = rows[1]["closed"] + 0.1

    run.edit(raw.TEMPORAL, late)
    assert not any("had been given back" in text for text in _found(run, "history"))


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


def _of_callbacks(run: Synthetic) -> list[str]:
    return [f.text for f in judge(run.folder).findings if f.kind == "callback"]


def _sampled(run: Synthetic, *cpu: float) -> None:
    row = {"name": "callback"}
    run.add(raw.PROCESSES, [row | {"at": float(at), "cpu": spent} for at, spent in enumerate(cpu)])


def test_each_stage_in_which_none_arrived_is_convicted(honest: Synthetic) -> None:
    _unheard(honest)
    _sampled(honest, 1.0, 2.0)

    texts = _of_callbacks(honest)
    assert [text.split(" arrived")[0] for text in texts] == [
        "none of the 3 callbacks of stage 1 (1 job)",
        "none of the 15 callbacks of stage 2 (5 jobs)",
    ]


def test_a_receiver_that_was_killed_may_have_lost_them(honest: Synthetic) -> None:
    _unheard(honest)
    _sampled(honest, 2.0, 0.1)

    assert _of_callbacks(honest) == []


def test_who_polls_alone_is_told_so(honest: Synthetic) -> None:
    _unheard(honest, calls_back=False, callbacks=[])

    assert _of_callbacks(honest) == []
    [said] = [t for t in tried(judge(honest.folder)) if t.name == "callbacks that go wrong"]
    assert (said.tried, said.text) == (
        False,
        "the vendor was told no address: every end was polled",
    )


@pytest.mark.parametrize(
    ("sha256", "shows", "same"),
    [
        ("stored", "picture", True),
        ("sent", "picture", True),
        ("stored", "another", False),
        ("stored", None, True),
        ("sent", None, False),
        (None, None, None),
    ],
)
def test_whether_two_files_show_the_same(
    sha256: str | None, shows: str | None, same: bool | None
) -> None:
    stored = StoredFile(kind="image", bytes=1, sha256="stored", shows="picture")
    assert _same(sha256, shows, stored) is same


def test_a_file_that_nobody_looked_at_is_known_by_its_bytes() -> None:
    assert _same("sent", "picture", StoredFile(kind="image", bytes=1, sha256="stored")) is False
    assert _same("sent", "picture", StoredFile(kind="image", bytes=1)) is None


@pytest.mark.parametrize("reply", [200, 503, None])
def test_a_receipt_without_a_fate_needs_a_delivery_without_a_good_answer(
    honest: Synthetic, reply: int | None
) -> None:
    """As of a receiver that was killed over it, or that had no Temporal."""
    honest.edit(raw.RECEIPTS, lambda rows: rows[0].update(fate="unknown"))
    honest.edit(VIDEO, lambda rows: rows[0]["callbacks"][0].update(reply=reply))

    refused = [text for text in _of_callbacks(honest) if "were refused" in text]
    assert len(refused) == (reply == 200)
