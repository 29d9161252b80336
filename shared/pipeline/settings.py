"""Settings of any pipeline's worker."""

import re
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator

from shared.http.mistakes import read_by
from shared.pipeline.definition import Definition, Stage
from shared.pipeline.hosts import is_near, result_hosts
from shared.pipeline.messages import JobLimits, StageLimits
from shared.settings.common import CallbackSecret, PollingSettings, Port, Seconds
from shared.settings.pipelines import PipelineSettings, pipelines_of
from shared.store.settings import StoreSettings
from shared.temporal.pace import Pace


def _is_url(setting: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", setting):
        raise ValueError("must be an address such as http://host:8000")
    return setting


Url = Annotated[str, AfterValidator(_is_url)]
_PROXY = re.compile(r"https?://([^\s/@]+@)?(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:[0-9]{1,5})?/?")


def _is_proxy(setting: SecretStr) -> SecretStr:
    """Check the proxy; its value may hold a password, so no message repeats it."""
    text = setting.get_secret_value()
    if not _PROXY.fullmatch(text):
        raise ValueError(
            "not a proxy: use http(s)://host:port, or http(s)://user:password@host:port"
        )
    # The parser raises its own ValueError for an invalid port.
    _ = urlsplit(text).port
    return setting


VendorProxy = Annotated[SecretStr, AfterValidator(_is_proxy)]


class PipelineWorkerSettings(PipelineSettings, StoreSettings, PollingSettings):
    """Settings from the environment; times are in seconds.

    A pipeline's own settings set `pipeline` and the addresses of its vendors. The time of a stage
    is the setting `<stage>_attempt_seconds` (the deadline), `<stage>_give_up_seconds`,
    `<stage>_lost_seconds` or `<stage>_poll_seconds`, if there is one, and the stage's own
    otherwise.
    """

    pipeline: ClassVar[Definition]

    callback_url: Url = "http://127.0.0.1:8001"
    callback_secret: CallbackSecret
    api_public_url: Url = "http://127.0.0.1:8000"
    result_hosts: Annotated[str, read_by(lambda text: result_hosts(_listed(text)))] = ""
    vendor_proxy: VendorProxy | None = None

    accept_seconds: Seconds = 30
    job_seconds: Seconds = 6 * 3600
    drain_seconds: Seconds = 3600
    gates: str = ""
    max_result_bytes: Annotated[int, Field(ge=1024)] = 512 * 1024 * 1024

    pace: Pace = Pace.FAST
    worker_http_port: Port = 9100
    shutdown_seconds: Seconds = 5

    @field_validator("gates")
    @classmethod
    def _known(cls, value: str, info: ValidationInfo) -> str:
        # One setting of all workers: it may name the stages of another pipeline.
        others = pipelines_of(info.data.get("pipelines", "")).values()
        known = dict.fromkeys(name for each in (*others, cls.pipeline) for name in each.names)
        unknown = sorted(set(_listed(value)).difference(known))
        if unknown:
            raise ValueError(f"no such gate: {', '.join(unknown)}; known are {', '.join(known)}")
        return value

    def limits(self) -> JobLimits:
        gates = _listed(self.gates)
        return JobLimits(
            stages={stage.name: self._limits_of(stage) for stage in self.pipeline.stages},
            job_seconds=self.job_seconds,
            drain_seconds=self.drain_seconds,
            accept_seconds=self.accept_seconds,
            gates=tuple(name for name in self.pipeline.names if name in gates),
            pace=self.pace,
        )

    def _limits_of(self, stage: Stage) -> StageLimits:
        def of(name: str, default: float) -> float:
            return float(getattr(self, f"{stage.name}_{name}_seconds", default))

        setting = f"{stage.name}_attempt_seconds"
        return StageLimits(
            deadline=of("attempt", stage.deadline),
            setting=setting.upper() if hasattr(self, setting) else "its deadline",
            give_up=of("give_up", stage.give_up),
            lost=of("lost", stage.lost),
            poll=of("poll", stage.poll),
        )

    def vendor_addresses(self) -> dict[str, str]:
        return {}

    def proxy_for(self, url: str) -> str | None:
        """Return the proxy for a vendor at this address; None if that is near, or there is no
        proxy."""
        return None if is_near(urlsplit(url).hostname or "") else self.proxy()

    def proxy(self) -> str | None:
        return self.vendor_proxy.get_secret_value() if self.vendor_proxy else None

    def inside_hosts(self) -> frozenset[str]:
        """`host:port` of the vendors; results may come from there at any address."""
        return frozenset(map(host_of, self.vendor_addresses().values()))

    def outside_hosts(self, *vendors_own: str) -> frozenset[str]:
        """Every further host of results, from the setting and the vendors."""
        return result_hosts([*_listed(self.result_hosts), *vendors_own])


def _listed(text: str) -> list[str]:
    return [item for item in map(str.strip, text.split(",")) if item]


def host_of(url: str) -> str:
    """Return the `host:port` part of an address, in lower case and without a password."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()
