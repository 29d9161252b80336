"""Lines of `.env` as people write them."""

from pathlib import Path

import pytest

from compose.stack.settings import dotenv


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("WORKERS=2", "2"),
        ("  export WORKERS = 2  ", "2"),
        ("WORKERS=2 # two", "2"),
        ("WORKERS='2 # two'", "2 # two"),
        ("WORKERS='2' # two", "2"),
        ('WORKERS="2"', "2"),
        ("WORKERS=", ""),
        ("WORKERS=a#b", "a#b"),
        ("WORKERS=# none", ""),
    ],
)
def test_values(line: str, value: str) -> None:
    assert dotenv.parse(line) == ({"WORKERS": value}, [])


def test_comments_and_blank_lines_are_nothing() -> None:
    assert dotenv.parse("\n# A=1\n\n  # B=2\n") == ({}, [])


@pytest.mark.parametrize("line", ["WORKERS", "WORK ERS=1", "1A=2", "A='open", 'A="1"2', "A=1\0"])
def test_a_line_that_does_not_fit_is_named_by_its_number(line: str) -> None:
    values, wrong = dotenv.parse(f"A=1\n{line}\nB=2")
    assert values == {"A": "1", "B": "2"}
    assert wrong == [".env line 2 is not NAME=value"]


def test_a_missing_file_has_no_settings(tmp_path: Path) -> None:
    assert dotenv.read(tmp_path / ".env") == ({}, [])


def test_a_mark_of_the_order_of_bytes_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"\xef\xbb\xbfWORKERS=2\r\nMODE=local\r\n")
    assert dotenv.read(file) == ({"WORKERS": "2", "MODE": "local"}, [])


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes("STACK=café".encode("latin-1"))
    assert dotenv.read(file) == ({}, [".env is no text in UTF-8"])


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    folder, link = tmp_path / "a" / ".env", tmp_path / ".env"
    folder.mkdir(parents=True)
    link.symlink_to("nowhere")
    assert dotenv.read(folder) == dotenv.read(link) == ({}, [".env is no file"])


def test_documented_names_are_those_set_and_those_commented_out(tmp_path: Path) -> None:
    example = tmp_path / "example"
    example.write_text("# words, and A=1 inside of them\n#MODE=auto\n# WORKERS=1\nMOCKS=on\n")
    assert dotenv.documented_names(example) == {"MODE", "WORKERS", "MOCKS"}
