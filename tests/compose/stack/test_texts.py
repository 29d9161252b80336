"""What the commands say: every text is in the table in Chinese, and what is in it is said."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from compose.stack.output import StackError, table
from compose.stack.settings import load
from shared.texts import COMMANDS, is_chinese, localized, translated
from tests.shared.said import PROSE, said

TABLE: dict[str, str] = json.loads(COMMANDS.read_text(encoding="utf-8"))
STACK = [Path("compose/venv.py"), *sorted(Path("compose/stack").rglob("*.py"))]
LOADTEST = sorted(Path("loadtest").rglob("*.py"))
# Names, code, and texts that are put together of others.
NOT_SAID = {
    "Bearer {1}",
    "PRAGMA user_version",
    "PRAGMA user_version = {1}",
    "Docker Compose",
    "Docker Compose: {1}",
    "Temporal gRPC",
    "make prove SEED={1} MODE={2}",
    "a red fox in fresh snow looks up",
    "ink on paper",
    "compose files",
    "size: {1}, {2} import contracts",
    "{1} {2} lines in {3} files",
    "compose with another pipeline",
    "compose without mocks",
    "supervisor: {1}: {2}",
    "wrong settings: ",
    "export {1}={2}\n",
    'export PATH={1}:"$PATH"\n',
    "{1}{2}exec {3}\n",
    '"$@" | { cat; cat >/dev/null; }',
    "load test",
    "{1}: {2}{3}{4}",
    *("{1} {2}", "{1}: {2}", "{1}, {2}", "{1} ({2})", "{1} {2}  {3}{4}"),
    *("  {1}  {2} {3} s", "  {1} s  {2} {3} %  {4}", "{1} after {2} s{3}"),
    "{1} of {2}{3} {4} ({5}: {6})",
}
# Made of several.
MADE = {
    "the mocks are off, and only they have faults",
    *("{1}: loopback only", "{1}: loopback only ({2})", "{1}: every machine that reaches {2}"),
    *(f"{word}: {{1}} of {{2}} jobs succeeded" for word in ("PASS", "FAIL")),
    *(f"{word}: {{1}} of {{2}} jobs succeeded, at most {{3}} at once" for word in ("PASS", "FAIL")),
    *("stage {1}/{2}, {3} job: {4}", "stage {1}/{2}, {3} jobs: {4}"),
    *("{1} in {2} s", "submitted {1}, at once {2}, {3}", "wrong settings: {1}"),
}


def test_every_text_of_the_stack_script_is_in_the_table() -> None:
    texts = {text for path in STACK for text in said(path) if PROSE.fullmatch(text)}

    assert sorted(texts - set(TABLE) - NOT_SAID) == []
    assert sorted(NOT_SAID - texts) == []


def test_every_command_of_the_help_is_in_the_table() -> None:
    lines = Path("Makefile").read_text(encoding="utf-8").splitlines()
    helps = {line.split(" ## ", 1)[1] for line in lines if " ## " in line and "awk" not in line}
    groups = {line[4:] for line in lines if line.startswith("##@")}

    assert len(helps) > 20
    assert sorted((helps | groups) - set(TABLE)) == []


def test_every_text_of_the_table_is_used() -> None:
    texts = {text for path in (*STACK, *LOADTEST) for text in said(path)}
    makefile = Path("Makefile").read_text(encoding="utf-8")

    assert sorted(t for t in set(TABLE) - texts - MADE if t not in makefile) == []


@pytest.mark.parametrize(
    ("environ", "chinese"),
    [
        ({}, False),
        ({"LANG": "C.UTF-8", "LANGUAGE": "zh"}, False),
        ({"LANGUAGE": "zh"}, False),
        ({"LANG": "en_GB.UTF-8"}, False),
        ({"LANG": "zh_CN.UTF-8"}, True),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "zh_TW"}, True),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, True),
        ({"LANG": "zh_CN.UTF-8", "LANGUAGE": "en"}, False),
        ({"LANG": "de_DE", "LANGUAGE": "zh_CN:en"}, True),
    ],
)
def test_language_follows_the_shell(environ: dict[str, str], chinese: bool) -> None:
    assert is_chinese(environ) is chinese


def test_lines_are_printed_in_the_language_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (
        "stopped; data stays\n  ready  api              2.0 s\n  fault         disarm all of them"
    )
    settings = "wrong settings: A=b (.env) is not one of: on, off"
    assert (localized(lines), localized(settings)) == (lines, settings)

    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")

    assert localized(lines).split("\n")[::2] == ["已停止；数据保留", "  fault         全部清除"]
    assert localized(settings) == "设置有误：A=b（.env）不在可选值之中：on, off"
    with pytest.raises(StackError) as wrong:
        load(Path.cwd(), {"WORKERS": "x", "MODE": "y"})
    assert localized(str(wrong.value)) == (
        "设置有误：MODE=y（environment）不在可选值之中：auto, docker, local;"
        " WORKERS=x（environment）不是 1 到 64 的整数"
    )
    assert localized("PASS: 20 of 20 jobs succeeded, at most 1 at once").startswith(
        "PASS: 20 个任务"
    )
    progress = "stage 2/2, 20 jobs: ended 3, submitted 20, at once 1, bad 0, left –"
    assert (
        localized(progress)
        == "第 2/2 级，20 个任务：已结束 3，已提交 20，同时运行 1，异常 0，剩余 –"
    )
    assert localized("  x==0: measured 1 in stage 1 (5 jobs)") == "  x==0：级别 1（5 个任务）实测 1"
    assert localized("反正不是英文, or nearly not") == "反正不是英文, or nearly not"
    assert table([("SERVICE", "STATE"), ("api", "x")]) == "服务  状态\napi   x"


def test_near_match_of_a_text_takes_no_longer() -> None:
    almost = " still ran, for " + ", " * 250 + ": " * 150 + " began at " * 25 + " while " * 25

    assert translated(f"Stage 1, 2{almost}")


def test_shell_with_a_small_character_set_still_gets_the_text() -> None:
    environ = {"LANG": "zh_CN.UTF-8", "PYTHONIOENCODING": "gb2312", "PATH": os.environ["PATH"]}

    ran = subprocess.run(
        "compose/translate.sh",
        input="left – …\n\nRun\n".encode(),
        env=environ,
        capture_output=True,
        check=True,
    )

    assert ran.stdout.decode("gb2312") == "left ? …\n\n运行\n"


def test_line_of_a_command_is_not_taken_for_one_of_the_report() -> None:
    line = translated("image service (mock ComfyUI): loopback only")

    assert line == "图片服务（模拟 ComfyUI）：仅本机回环"
