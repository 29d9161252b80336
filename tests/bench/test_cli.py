"""The command line of a part: mistakes are told in one line, and nothing is asked of any stack."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.bench.pipeline import table
from tests.bench.pipeline.cli import NOT_REACHABLE, USAGE, app
from tests.bench.pipeline.figures import Figure, Part, write


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["takeover", "--moment", "lunch"], "'lunch' is not one of: image running, video being"),
        (["waiting", "--levels", "10,5"], "'10,5' is not a rising list"),
        (["waiting", "--levels", "10,ten"], "'10,ten' is not a rising list"),
        (["table"], "holds no figures"),
    ],
)
def test_mistakes(arguments: list[str], said: str, tmp_path: Path) -> None:
    part, *options = arguments
    found = CliRunner().invoke(app, [part, str(tmp_path), *options])

    assert found.exit_code == USAGE
    assert said in found.output


def test_a_stack_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API", "CALLBACK", "IMAGE_SERVICE", "VIDEO_SERVICE"):
        monkeypatch.setenv(f"{name}_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:9")
    found = CliRunner().invoke(app, ["intake", str(tmp_path)])

    assert found.exit_code == NOT_REACHABLE
    assert "not reachable: api" in found.output


def test_the_table_is_made_of_what_there_is(tmp_path: Path) -> None:
    figure = Figure(part="intake", name="requests", unit="1/s", values=(40.0, 60.0))
    write(tmp_path, "intake", Part(environment={"cores": 2}, figures=(figure,)))
    found = CliRunner().invoke(app, ["table", str(tmp_path)])

    assert found.exit_code == 0
    assert table.text([figure]) in found.output
    assert "| intake: requests | 50 1/s |" in (tmp_path / "bench.md").read_text()
