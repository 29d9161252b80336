"""Settings that several services have: every mistake in one line, and where traces go."""

from typing import Annotated

import pytest
from pydantic import Field, SecretStr, ValidationError

from shared.settings.common import USAGE, CommonSettings, Port, load
from shared.settings.traces import TraceSettings


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


def settings(**given: str) -> TraceSettings:
    return TraceSettings.model_validate(
        {f"otel_exporter_otlp_{name}": given[name] for name in given}
    )


def test_nowhere_unless_it_is_said() -> None:
    assert (settings().traces_go_to, settings().trace_headers) == (None, {})


@pytest.mark.parametrize("base", ["http://c:4318", "http://c:4318/"])
def test_the_route_is_behind_the_base(base: str) -> None:
    assert settings(endpoint=base).traces_go_to == "http://c:4318/v1/traces"


def test_headers_are_a_list_of_which_values_are_quoted() -> None:
    found = settings(endpoint="https://c/otlp", headers="X-Key=a%2Cb=, authorization=Basic%20YQ==")
    assert found.trace_headers == {"x-key": "a,b=", "authorization": "Basic YQ=="}


@pytest.mark.parametrize("headers", ["s3cret", "a=b;c", "a b=s3cret", "a=s3 cret", "a=s3cret,"])
def test_wrong_headers_are_kept_secret(headers: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(endpoint="http://c:4318", headers=headers)
    [error] = refused.value.errors(include_input=False)
    assert "name=value" in error["msg"]
    assert "cret" not in error["msg"]


@pytest.mark.parametrize("endpoint", ["c:4318", "grpc://c:4317", "http://key@c:4318", "http://c?a"])
def test_an_address_of_another_kind_is_refused(endpoint: str) -> None:
    with pytest.raises(ValidationError):
        settings(endpoint=endpoint)


def test_headers_alone_are_refused() -> None:
    with pytest.raises(ValidationError, match="ENDPOINT"):
        settings(headers="a=b")
