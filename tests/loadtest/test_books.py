"""Any run's folder is judged, or refused in one line; and its seal."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadtest.books import raw, seal
from loadtest.books.raw import Damaged, RunFolder
from loadtest.judge.judge import judge
from loadtest.report.write import write_report
from loadtest.run.plan import planned
from tests.loadtest.synthetic import Row, Synthetic, put


@pytest.fixture
def run(tmp_path: Path) -> Synthetic:
    return Synthetic(tmp_path, plan=planned("2", seed="7")).write()


def told(run: Synthetic, **changes: Any) -> None:
    """Forge what the run says of itself."""
    run.replace(raw.RUN, run.folder.read(raw.RUN) | changes)


LINKS: list[Callable[[RunFolder], Path]] = [
    lambda folder: folder.raw / raw.JOBS,
    lambda folder: folder.histories / "job.json",
    lambda folder: folder.raw,
    lambda folder: folder.histories,
]


@pytest.mark.parametrize("place", LINKS, ids=["rows", "a history", "raw", "histories"])
def test_link_is_not_followed(
    run: Synthetic, tmp_path: Path, place: Callable[[RunFolder], Path]
) -> None:
    path = place(run.folder)
    elsewhere = tmp_path / "elsewhere"
    if path.exists():
        path.rename(elsewhere)
    path.symlink_to(elsewhere)
    with pytest.raises(Damaged, match="is a link"):
        judge(run.folder)


@pytest.mark.parametrize("name", [raw.FRAMES, raw.REPLAY])
def test_pipe_is_not_waited_for(run: Synthetic, name: str) -> None:
    path = run.folder.raw / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    with pytest.raises(Damaged, match="no file"):
        judge(run.folder)


def test_endless_file_is_not_read(run: Synthetic) -> None:
    for name, most in ((raw.FRAMES, raw.LARGEST_ROWS), (raw.REPLAY, raw.LARGEST_FILE)):
        with (run.folder.raw / name).open("ab") as file:
            before = file.tell()
            file.truncate(most + 1)
        with pytest.raises(Damaged, match="larger than"):
            judge(run.folder)
        with (run.folder.raw / name).open("ab") as file:
            file.truncate(before)


def test_endless_row_is_a_torn_one(run: Synthetic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "LONGEST_ROW", 100)
    (run.folder.raw / raw.SLOTS).write_text("x" * 250, "utf-8")
    assert list(run.folder.rows(raw.SLOTS)) == []
    assert run.folder.torn == {f"raw/{raw.SLOTS}": 3}


@pytest.mark.parametrize(
    "row",
    [
        "[" * 100_000,
        '{"at": NaN}',
        '{"at": 1e999}',
        '{"at": 1, "at": 2}',
        '{"at": 1' + "0" * 99 + "}",
        '{"at": "\\ud800"}',
    ],
    ids=["deep", "no number", "infinite", "twice", "endless", "half a character"],
)
def test_foreign_row_is_a_torn_one(run: Synthetic, row: str) -> None:
    (run.folder.raw / raw.SLOTS).write_text(f"{row}\n", "utf-8")
    assert list(run.folder.rows(raw.SLOTS)) == []
    assert run.folder.torn == {f"raw/{raw.SLOTS}": 1}


def test_huge_numbers_take_no_memory(run: Synthetic) -> None:
    """Each of them was once as many things in a list."""

    def many(rows: list[Row]) -> None:
        rows[0]["job"]["attempts"]["image"] = 10**18

    def wide(rows: list[Row]) -> None:
        rows[0]["slots_before"]["limit"] = 10**18

    run.edit(raw.JOBS, many)
    run.edit(raw.STAGES, wide)
    assert not judge(run.folder).passed


@pytest.mark.parametrize(
    "changes",
    [
        {"faults": "x", "environment": []},
        {"began_at": {}, "ended_at": 1e30},
        {"temporal_ui": 7, "unread": None},
        {"faults": {"image": {"rules": 1}}},
    ],
)
def test_any_content_of_run_json_is_handled(run: Synthetic, changes: dict[str, Any]) -> None:
    told(run, **changes)
    for step in ("image", "video"):
        stats = {"ledger_dropped": [], "faults_recorded": "x", "verdict": {"charged_twice": 1}}
        run.replace(raw.VENDORS, {step: {"stats": stats, **stats}, "else": "x"})
        run.drawn()


def test_run_of_another_version_is_not_judged(run: Synthetic) -> None:
    told(run, schema=raw.SCHEMA - 1)
    with pytest.raises(Damaged, match=r"run\.json is of another version: its format is"):
        judge(run.folder)


@pytest.mark.parametrize("text", [[], "\x00\x1b[2J", "p95"])
def test_wrong_threshold_is_one_line(run: Synthetic, text: Any) -> None:
    plan = run.folder.read(raw.RUN)["plan"]
    told(run, plan=plan | {"thresholds": [text]})
    with pytest.raises(Damaged, match=r"run.json is damaged: .* no threshold in") as found:
        judge(run.folder)
    assert str(found.value).isprintable()


@pytest.mark.parametrize(
    ("name", "path", "junk"),
    [
        (raw.RECEIPTS, (0,), {"updated_at": "x"}),
        (raw.FRAMES, (0,), {"version": []}),
        (raw.VENDORS, ("video", "stats"), {"speed": "x"}),
    ],
)
def test_value_of_a_wrong_type_is_damage(
    run: Synthetic, name: str, path: tuple[str | int, ...], junk: Row
) -> None:
    if name == raw.VENDORS:
        run.told(name, *path, **junk)
    else:
        run.edit(name, lambda rows: put(rows, *path, **junk))

    with pytest.raises(Damaged, match=r"raw is damaged: (Type|Value)Error"):
        judge(run.folder)


@pytest.mark.parametrize("ui", ["javascript:alert(1)//", 'http://x/" onclick="alert(1)', "data:,x"])
def test_report_links_only_to_addresses_and_runs_nothing(run: Synthetic, ui: str) -> None:
    told(run, temporal_ui=ui)
    page = run.drawn()
    assert "default-src &#39;none&#39;" in page.split("<title>", 1)[0]
    assert "javascript:" not in page
    assert 'href="data:' not in page
    assert "onclick" not in page


def test_derived_files_stay_in_the_folder(run: Synthetic, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("mine", "utf-8")
    folder = run.folder
    for name in ("report.html", "results.json"):
        (folder.path / name).symlink_to(kept)
    told(run, run_id="../../x/../" + "y" * 300)
    write_report(folder, judge(folder))
    assert kept.read_text("utf-8") == "mine"
    assert json.loads((folder.path / "results.json").read_text("utf-8"))["schema"] == 2
    assert {path.name for path in tmp_path.iterdir()} == {"run", "kept"}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return Synthetic(tmp_path, plan=planned("2", seed="7")).write().folder


def test_folder_in_the_place_of_the_link_is_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    with pytest.raises(IsADirectoryError, match="latest"):
        RunFolder.create(tmp_path, "a-run")
    assert [each.name for each in tmp_path.iterdir()] == ["latest"]


def test_untouched_run_keeps_its_seal(folder: RunFolder) -> None:
    found = seal.check(folder)

    def said(*command: str) -> str:
        return subprocess.check_output(command, cwd=folder.path, text=True)

    assert found.broken == ()
    assert found.root == seal.write(folder) == said("sha256sum", seal.NAME).split()[0]
    assert said("sha256sum", "--check", "--strict", "--quiet", seal.NAME) == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes() + b" \n"), "was changed"),
        (Path.unlink, "was removed"),
        (lambda path: path.with_name("more.jsonl").touch(), "was added"),
    ],
    ids=["changed", "removed", "added"],
)
@pytest.mark.parametrize("name", [raw.SLOTS, raw.SUBMITS, raw.LEDGERS["video"]])
def test_later_change_fails_the_run(
    folder: RunFolder, change: Callable[[Path], object], said: str, name: str
) -> None:
    folder.append(raw.SLOTS, [])
    seal.write(folder)
    change(folder.raw / name)

    [reason] = [reason for reason in judge(folder).reasons if "seal" in reason]
    assert said in reason


def test_run_without_a_seal_does_not_pass(folder: RunFolder) -> None:
    (folder.path / seal.NAME).unlink()

    assert any("never sealed" in reason for reason in judge(folder).reasons)


def test_new_seal_has_another_root(folder: RunFolder) -> None:
    before = seal.check(folder).root
    folder.append(raw.SUBMITS, [{"forged": True}])

    assert seal.write(folder) != before


def test_later_files_are_collected_separately(folder: RunFolder) -> None:
    (folder.raw / raw.SUBMITS).write_text("{}\n", "utf-8")
    folder.write(raw.REPLAY, {"replayed": 0, "failures": {}})
    seal.add(folder, folder.raw / raw.REPLAY)

    assert seal.check(folder).broken == (f"raw/{raw.SUBMITS} was changed",)


OF_SHARED = {
    "shared.temporal.codec",
    "shared.errors",
    "shared.jobs.genvideo",
    "shared.pipeline.definition",
    "shared.settings.pipelines",
    "shared.files",
    "shared.redact",
    "shared.settings.common",
    "shared.settings.payloads",
    "shared.process_exit",
    "shared.texts",
}


def test_load_test_imports_no_deciding_code_of_shared() -> None:
    texts = (path.read_text("utf-8") for path in Path("loadtest").rglob("*.py"))
    found = {name for text in texts for name in re.findall(r"^from (shared[\w.]*)", text, re.M)}

    assert found <= OF_SHARED
