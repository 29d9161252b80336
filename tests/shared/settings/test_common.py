"""Settings: every mistake in one line, and the values themselves stay out of it."""

from typing import Annotated

import pytest
from pydantic import Field, SecretStr

from shared.settings.common import USAGE, CommonSettings, Port, load


class _Settings(CommonSettings):
    some_port: Port = 8000
    some_secret: Annotated[SecretStr, Field(min_length=16)]


def test_every_mistake_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOME_PORT", "70000")
    monkeypatch.setenv("SOME_SECRET", "hunter2")
    monkeypatch.setenv("LOG_LEVEL", "LOUD")

    with pytest.raises(SystemExit) as caught:
        load(_Settings)

    line = capsys.readouterr().err
    assert caught.value.code == USAGE
    assert line.count("\n") == 1
    assert all(name in line for name in ("SOME_PORT", "SOME_SECRET", "LOG_LEVEL"))
    assert "hunter2" not in line


def test_an_empty_variable_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PORT", "")
    monkeypatch.setenv("SOME_SECRET", "x" * 16)
    settings = load(_Settings)
    assert settings.some_port == 8000
    assert "x" * 16 not in repr(settings)
