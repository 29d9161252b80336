"""Services that look at their settings in one go: each as if it were alone."""

import sys
from pathlib import Path

from compose.stack.processes import checking
from compose.stack.subprocesses import capture

SECONDS = 60
SHOW = "import os, sys; print(sys.argv[1:], dict(os.environ), flush=True); "


def found(tmp_path: Path, *codes: str, seconds: int = SECONDS) -> list[tuple[int, str]]:
    """What modules of one name say, each from its own folder and with its own environment."""
    programs = []
    for number, code in enumerate(codes):
        home = tmp_path / str(number)
        home.mkdir()
        (home / "part.py").write_text(f"{code}\n")
        programs.append(("part", home, {"NUMBER": str(number)}))
    told = checking.request(programs, seconds=seconds)
    answer = capture([sys.executable, "-P", checking.__file__], {"OURS": "1"}, told=told)
    assert answer.good, answer.err
    return checking.outcomes(answer.out)


def test_each_has_its_own_code_and_settings_and_ends_by_its_own_status(tmp_path: Path) -> None:
    right, wrong, broken, silent = found(
        tmp_path,
        f"{SHOW}sys.exit(0)",
        f"{SHOW}sys.stderr.write('wrong settings: X: no\\n'); sys.exit(2)",
        "1 / 0",
        "",
    )
    assert right == (0, "['--check'] {'NUMBER': '0'}\n")
    assert wrong == (2, "['--check'] {'NUMBER': '1'}\nwrong settings: X: no\n")
    assert broken[0] == checking.FAILED
    assert broken[1].splitlines()[-1].startswith("ZeroDivisionError")
    assert silent == (0, "")


def test_one_that_does_not_come_to_its_end_is_ended_and_the_others_are_heard(
    tmp_path: Path,
) -> None:
    held = "import threading; threading.Event().wait()"
    assert found(tmp_path, held, "", seconds=1) == [
        (checking.TIMED_OUT, "part did not answer within 1 s"),
        (0, ""),
    ]


def test_they_share_what_is_imported_before_they_part(tmp_path: Path) -> None:
    code = f"import sys; sys.exit(3 if {checking.COMMON!r} in sys.modules else 4)"
    assert found(tmp_path, code) == [(3, "")]
