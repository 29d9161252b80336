"""The target of traces, by OpenTelemetry's own names; no target by default."""

import re
from typing import Annotated, Self
from urllib.parse import unquote

from pydantic import AfterValidator, Field, SecretStr, model_validator

from shared.settings.common import CommonSettings

_HEADER = re.compile(r"\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*([^,;\s]+)\s*")


def _are_headers(setting: SecretStr) -> SecretStr:
    """Check the headers; they hold keys, so no message repeats them."""
    if not all(map(_HEADER.fullmatch, setting.get_secret_value().split(","))):
        raise ValueError("not headers: use name=value,name=value")
    return setting


class TraceSettings(CommonSettings):
    """Settings of a service that makes spans."""

    otel_exporter_otlp_endpoint: (
        Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")] | None
    ) = None
    otel_exporter_otlp_headers: Annotated[SecretStr, AfterValidator(_are_headers)] | None = None

    @property
    def traces_go_to(self) -> str | None:
        """The address to which spans are posted, as OTLP/HTTP defines it."""
        base = self.otel_exporter_otlp_endpoint
        return f"{base.rstrip('/')}/v1/traces" if base else None

    @property
    def trace_headers(self) -> dict[str, str]:
        setting = self.otel_exporter_otlp_headers
        found = map(_HEADER.fullmatch, setting.get_secret_value().split(",") if setting else ())
        return {each[1].lower(): unquote(each[2]) for each in found if each}

    @model_validator(mode="after")
    def _endpoint_for_headers(self) -> Self:
        if self.otel_exporter_otlp_headers and not self.otel_exporter_otlp_endpoint:
            raise ValueError("OTEL_EXPORTER_OTLP_HEADERS needs OTEL_EXPORTER_OTLP_ENDPOINT")
        return self
