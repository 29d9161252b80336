"""A proof: a part that fails, is missing or torn fails the whole, by its name."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from compose.stack.commands import prove
from loadtest.books import raw, seal
from loadtest.books.raw import Damaged, RunFolder
from loadtest.prove import page, proof
from loadtest.prove.page import drawn, sections
from loadtest.prove.proof import KILLED, NOTED, PARTS, PLAN, RESULT, Verdict, load_test, read
from loadtest.report.page import Table
from loadtest.run.plan import Options
from tests.loadtest.synthetic import Synthetic

SMALL = {
    "ladder": partial(load_test, stages=(2,)),
    "faults": partial(load_test, stages=(2,), faults=True),
}
SMALL_PARTS = tuple(replace(p, check=SMALL.get(p.name, p.check)) for p in PARTS)
RUN = "run"
WRONG = Path("control", "lane-1", "two-holders", "reports")
STRIKES = [
    {"number": n, "at": 1.5, "kind": "kill", "target": target, "strike": f"kill {target}"}
    for n, target in enumerate(KILLED, 1)
]


class Made:
    """A proof's folder in which every part has passed, until a test does something to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of_good_parts(cls, folder: Path) -> "Made":
        """All of them, ended well."""
        made = cls(folder)
        made.raw.raw.mkdir(parents=True)
        plan = {"mode": "local", "seed": "7", "workers": 2, "speed": 100, "began_at": 1.0}
        made.raw.write(PLAN, plan | {"command": "make prove SEED=7"})
        _run(folder / "ladder")
        faults = _run(folder / "faults")
        faults.arm("image", "slow", "start", "slow")
        faults.add(raw.FAULTS, [_fault(faults)])
        for name in ("kills", "chaos"):
            chaos = _run(folder / name)
            chaos.replace(raw.CHAOS, {"struck": STRIKES})
            made.result(name)
        _run(folder / "control" / "lane-0" / "sound-queue" / "reports")
        wrong = _run(folder / WRONG)
        wrong.edit(raw.LEDGERS["video"], _into_the_next)
        for part in PARTS:
            made.ended(part.name)
        return made

    @property
    def raw(self) -> RunFolder:
        """What was noted of the proof itself."""
        return RunFolder(self.folder)

    def run(self, part: str) -> RunFolder:
        """The run of a part."""
        return RunFolder(self.folder / part / RUN)

    def ended(self, name: str, *, status: int = 0, reason: str = "") -> None:
        """A part is over; said again, the last word counts."""
        row = {"name": name, "status": status, "reason": reason, "began_at": 1.0, "ended_at": 61.0}
        self.raw.append(NOTED, [row])

    def never_ended(self, *names: str) -> None:
        """The proof ended before these parts did."""
        rows = [row for row in self.raw.rows(NOTED) if row["name"] not in names]
        (self.raw.raw / NOTED).unlink()
        self.raw.append(NOTED, rows)

    def result(self, name: str, *violations: dict[str, str]) -> None:
        """What a chaos run says of itself."""
        body = {"jobs": {"succeeded": 2}, "violations": violations}
        (self.run(name).path / RESULT).write_text(json.dumps(body), "utf-8")


def _run(part: Path) -> Synthetic:
    plan = Options(stages="2", seed="7").plan()
    return Synthetic(part, plan=plan, run_id=RUN).write()


def _fault(run: Synthetic) -> dict[str, Any]:
    """One that slowed the first image down, and was borne."""
    made = next(iter(run.folder.rows(raw.LEDGERS["image"])))
    fault = {"service": "image", "rule": "slow", "where": "start", "do": "slow"}
    same = {name: made[name] for name in ("external_id", "attempt", "job_key", "prompt")}
    return fault | same | {"at": made["accepted_at"]}


def _into_the_next(videos: list[dict[str, Any]]) -> None:
    """The first video lasts until the second one ends."""
    videos[0]["finished_at"] = videos[1]["finished_at"]


@pytest.fixture(scope="package")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Made.of_good_parts(tmp_path_factory.mktemp("reports") / "prove-1").folder


@pytest.fixture
def made(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.setattr(proof, "PARTS", SMALL_PARTS)
    return Made(shutil.copytree(good, tmp_path / "prove-1"))


NAMES = [part.name for part in PARTS]
VIOLATION = {"rule": "nothing is paid or made twice", "who": "job-1", "text": "two videos"}


def test_judged_parts_are_those_that_run() -> None:
    assert [*prove.PARTS] == NAMES


def test_all_parts_pass(made: Made) -> None:
    found = read(made.folder, seal=True)

    assert (found.passed, found.status) == (True, 0)
    assert found.headline == "PASS: all 5 parts passed"


def resealed(part: str, harm: Callable[[RunFolder], object]) -> Callable[[Made], object]:
    """Do this to the run of a part, and seal it again."""

    def do(made: Made) -> None:
        harm(made.run(part))
        seal.write(made.run(part))

    return do


def struck(rows: list[dict[str, Any]]) -> Callable[[RunFolder], object]:
    return lambda run: run.write(raw.CHAOS, {"struck": rows})


def _without_faults(run: RunFolder) -> None:
    (run.raw / raw.FAULTS).unlink()


def _a_video_that_is_paid_twice(run: RunFolder) -> None:
    """Its own result says nothing of it, and the books do."""
    run.append(raw.LEDGERS["video"], list(run.rows(raw.LEDGERS["video"]))[:1])


def _other_stages(run: RunFolder) -> None:
    facts = run.read(raw.RUN)
    facts["plan"]["stages"] = [1]
    run.write(raw.RUN, facts)


def _acquitted(made: Made) -> None:
    """The wrong build's books are those of a sound one."""
    shutil.rmtree(made.folder / WRONG)
    shutil.copytree(made.folder / "ladder", made.folder / WRONG)


def _torn(run: RunFolder) -> None:
    with (run.raw / raw.JOBS).open("a") as out:
        out.write('{"stage": 0, "li')


def _broken_off(run: RunFolder) -> None:
    run.write(raw.RUN, run.read(raw.RUN) | {"why": "unfinished"})


@pytest.mark.parametrize(
    ("harm", "name", "reason"),
    [
        (lambda made: made.ended("ladder", status=1), "ladder", "ended with 1"),
        (lambda made: made.ended("chaos", status=2, reason="no ports"), "chaos", "no ports"),
        (lambda made: shutil.rmtree(made.folder / "faults"), "faults", "left 0 runs"),
        (lambda made: made.result("chaos", VIOLATION), "chaos", "paid or made twice: job-1"),
        (lambda made: (made.run("kills").path / RESULT).write_text("{"), "kills", "is damaged"),
        (lambda made: (made.run("kills").path / RESULT).unlink(), "kills", "No such file"),
        (resealed("kills", struck([])), "kills", "nothing was struck"),
        (resealed("kills", struck([{"at": "soon"}])), "kills", "is damaged"),
        (resealed("chaos", _a_video_that_is_paid_twice), "chaos", "charged_twice"),
        (lambda made: (made.run("ladder").raw / raw.RUN).write_text("{}"), "ladder", "damaged"),
        (
            resealed("faults", lambda run: (run.raw / raw.FAULTS).unlink()),
            "faults",
            "no fault fired",
        ),
        (resealed("kills", struck(STRIKES[1:])), "kills", "workers was not killed"),
        (resealed("ladder", _other_stages), "ladder", "not the stages 2"),
        (_acquitted, "control", "not convicted"),
        (lambda made: (made.folder / WRONG / RUN / seal.NAME).unlink(), "control", "not sealed"),
        (resealed("ladder", _torn), "ladder", "1 damaged lines"),
        (lambda made: (made.run("chaos").path / seal.NAME).unlink(), "chaos", "not sealed"),
        (resealed("ladder", _broken_off), "ladder", "did not come to its end: unfinished"),
    ],
)
def test_failed_part_fails_the_whole(
    made: Made, harm: Callable[[Made], object], name: str, reason: str
) -> None:
    harm(made)
    found = read(made.folder, seal=True)

    assert (found.passed, found.status) == (False, 1)
    assert found.headline == f"FAIL: {name} failed"
    [reasons] = [o.reasons for o in found.outcomes if o.verdict is Verdict.FAILED]
    assert any(reason in text for text in reasons)


def test_missing_part_fails_the_whole(made: Made) -> None:
    made.never_ended("chaos", "control")
    found = read(made.folder)

    assert (found.passed, found.status) == (False, 1)
    assert found.headline == "FAIL: chaos, control not run"


def test_interrupt_lists_what_was_not_run(made: Made) -> None:
    made.never_ended("control")
    made.ended("chaos", status=130)
    found = read(made.folder, seal=True)

    assert found.status == 130
    assert found.headline == "FAIL: chaos broken off; control not run"


def test_stack_that_did_not_start_has_an_exit_status(made: Made) -> None:
    made.ended("ladder", status=3, reason="not ready after 60 s")

    assert read(made.folder).status == 3
    made.ended("chaos", status=1)
    assert read(made.folder).status == 1


def test_later_change_fails_the_whole(made: Made) -> None:
    root = read(made.folder, seal=True).root
    made.ended("chaos")
    made.result("kills")
    (made.folder / "chaos" / "run" / seal.NAME).unlink()
    found = read(made.folder)

    assert found.root == root
    assert found.status == 1
    assert found.broken == (
        f"chaos/run/{seal.NAME} was removed",
        f"raw/{NOTED} was changed",
    )


def test_missing_seal_fails_the_whole(made: Made) -> None:
    read(made.folder, seal=True)
    (made.folder / seal.NAME).unlink()
    found = read(made.folder)

    assert (found.passed, found.status) == (False, 1)
    assert "not sealed" in found.headline


def test_torn_notes_fail_the_whole(made: Made) -> None:
    with (made.raw.raw / NOTED).open("a") as out:
        out.write('{"name": "ladder", "sta\n{"name": "ladder"}\n')
    found = read(made.folder)

    assert found.broken == (f"{NOTED}: 2 damaged lines",)
    assert found.status == 1


@pytest.mark.parametrize("text", ["", "{", '{"mode": "local"}'])
def test_folder_without_a_plan_is_no_proof(tmp_path: Path, text: str) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / PLAN).write_text(text)

    with pytest.raises(Damaged):
        read(tmp_path, seal=True)
    assert not (tmp_path / seal.NAME).exists()


HOSTILE = '<script>alert(1)</script>" onload="x'


def test_first_section_has_verdict_numbers_and_links_to_the_reports(made: Made) -> None:
    answer = sections(drawn(made.folder, seal=True))[0]

    parts, _ = [block for block in answer.blocks if isinstance(block, Table)]
    numbers = {"faults": ["1", "0"], "kills": ["0", str(len(STRIKES))]}
    numbers["chaos"] = numbers["kills"]
    assert [[cell.text for cell in cells[:8]] for cells in parts.rows] == [
        [name, "passed", "2 of 2", *numbers.get(name, ["0", "0"]), "4", "0", "60 s"]
        for name in NAMES
    ]
    assert all((made.folder / cells[0].href).parent.is_dir() for cells in parts.rows)
    html = (made.folder / "report.html").read_text("utf-8")
    assert all(f'href="{cells[0].href}"' in html for cells in parts.rows)


def test_skipped_parts_are_reported_as_not_shown(made: Made) -> None:
    made.never_ended("chaos")
    drawn(made.folder)
    text = (made.folder / "report.md").read_text("utf-8")

    assert "FAIL: chaos not run" in text
    assert "not to its end: chaos" in text
    [row] = re.findall(r"^\| chaos \|.*$", text, re.MULTILINE)
    assert row.endswith("| nothing, this time |")
    assert PARTS[0].shows in text


def test_text_is_escaped(made: Made) -> None:
    made.result("chaos", {"rule": HOSTILE, "who": HOSTILE, "text": HOSTILE})
    made.ended("ladder", status=1, reason=HOSTILE)
    plan = made.raw.read(PLAN)
    made.raw.write(PLAN, plan | {"mode": HOSTILE, "seed": HOSTILE, "command": HOSTILE})
    drawn(made.folder)
    html = (made.folder / "report.html").read_text("utf-8")

    assert "alert(1)" in html
    assert "<script" not in html
    assert not re.search(r"<[^>]* onload=", html)


def test_many_reasons_are_counted(made: Made) -> None:
    violation = {"rule": "r", "who": "w", "text": "t"}
    made.result("kills", *[violation] * (page.MOST_REASONS + 7))
    drawn(made.folder)

    assert "And 7 more reasons" in (made.folder / "report.html").read_text("utf-8")
