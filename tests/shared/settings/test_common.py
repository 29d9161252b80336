"""Settings that several services have: an empty one, and where traces go."""

import pytest
from pydantic import ValidationError

from shared.settings.common import CommonSettings
from shared.settings.traces import TraceSettings


def test_empty_variable_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "")
    assert CommonSettings().log_level == "INFO"


def settings(**given: str) -> TraceSettings:
    return TraceSettings.model_validate(
        {f"otel_exporter_otlp_{name}": given[name] for name in given}
    )


def test_trace_endpoint_follows_the_base_and_headers_are_unquoted() -> None:
    assert (settings().traces_go_to, settings().trace_headers) == (None, {})
    for base in ("http://c:4318", "http://c:4318/"):
        assert settings(endpoint=base).traces_go_to == "http://c:4318/v1/traces"
    found = settings(endpoint="https://c/otlp", headers="X-Key=a%2Cb=, authorization=Basic%20YQ==")
    assert found.trace_headers == {"x-key": "a,b=", "authorization": "Basic YQ=="}


@pytest.mark.parametrize("headers", ["s3cret", "a=b;c", "a b=s3cret", "a=s3 cret", "a=s3cret,"])
def test_wrong_headers_are_hidden(headers: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(endpoint="http://c:4318", headers=headers)
    [error] = refused.value.errors(include_input=False)
    assert "name=value" in error["msg"]
    assert "cret" not in error["msg"]


@pytest.mark.parametrize("endpoint", ["c:4318", "grpc://c:4317", "http://key@c:4318", "http://c?a"])
def test_address_of_another_kind_is_refused(endpoint: str) -> None:
    with pytest.raises(ValidationError):
        settings(endpoint=endpoint)


def test_headers_without_an_endpoint_are_refused() -> None:
    with pytest.raises(ValidationError, match="ENDPOINT"):
        settings(headers="a=b")
