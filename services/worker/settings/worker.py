"""Settings of the worker; its addresses of the vendors are the only ones that anybody calls."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator

from services.worker.models import JobLimits, Order, Patience, StageLimits
from services.worker.settings.hosts import is_near, result_hosts
from services.worker.settings.vendors import ComfyuiWireSettings, KlingSettings
from shared.jobs.genvideo import GENVIDEO, IMAGE, VIDEO
from shared.jobs.slots import STAGE_GATES
from shared.settings.common import CallbackSecret, Port, Seconds, StackName
from shared.settings.traces import TraceSettings
from shared.store.settings import StoreSettings
from shared.temporal.pace import Pace

Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+(/\S*)?$")]
_PROXY = re.compile(r"https?://([^\s/@]+@)?(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:[0-9]{1,5})?/?")


def _is_proxy(setting: SecretStr) -> SecretStr:
    """Its value may hold a password, so that nothing of it is said."""
    text = setting.get_secret_value()
    if not _PROXY.fullmatch(text):
        raise ValueError(
            "no proxy: it is http(s)://host:port, or http(s)://user:password@host:port"
        )
    # A ValueError of its own for a number that is no port.
    _ = urlsplit(text).port
    return setting


VendorProxy = Annotated[SecretStr, AfterValidator(_is_proxy)]


class WorkerSettings(ComfyuiWireSettings, KlingSettings, StoreSettings, TraceSettings):
    """Read from the environment; times are in seconds."""

    image_service_url: Url = "http://127.0.0.1:6889"
    video_service_url: Url = "http://127.0.0.1:16882"
    callback_url: Url = "http://127.0.0.1:8001"
    callback_secret: CallbackSecret
    api_public_url: Url = "http://127.0.0.1:8000"
    result_hosts: str = ""
    vendor_proxy: VendorProxy | None = None

    image_attempt_seconds: Seconds = IMAGE.deadline
    video_attempt_seconds: Seconds = VIDEO.deadline
    image_give_up_seconds: Seconds = IMAGE.give_up
    video_give_up_seconds: Seconds = VIDEO.give_up
    image_lost_seconds: Seconds = IMAGE.lost
    video_lost_seconds: Seconds = VIDEO.lost
    image_address_seconds: Seconds = IMAGE.address
    video_address_seconds: Seconds = VIDEO.address
    accept_seconds: Seconds = 30
    job_seconds: Seconds = 6 * 3600
    drain_seconds: Seconds = 3600
    video_poll_seconds: Seconds = 2
    gates: str = ""
    max_result_bytes: Annotated[int, Field(ge=1024)] = 512 * 1024 * 1024

    pace: Pace = Pace.FAST
    stack: StackName = ""
    worker_http_port: Port = 9100
    stall_seconds: Seconds = 10
    shutdown_seconds: Seconds = 5

    @field_validator("result_hosts")
    @classmethod
    def _are_hosts(cls, value: str) -> str:
        result_hosts(_listed(value))
        return value

    @field_validator("image_service_url")
    @classmethod
    def _takes_routes(cls, value: str) -> str:
        if "?" in value or "#" in value:
            raise ValueError("no query and no fragment: routes are put behind it")
        return value

    @field_validator("gates")
    @classmethod
    def _known(cls, value: str) -> str:
        unknown = sorted(set(_listed(value)).difference(STAGE_GATES))
        if unknown:
            known = ", ".join(STAGE_GATES)
            raise ValueError(f"no such gate: {', '.join(unknown)}; known are {known}")
        return value

    def limits(self) -> JobLimits:
        """The limits that a job takes along when it begins."""
        return JobLimits(
            stages={
                stage.name: StageLimits(
                    deadline=self._of(stage.name, "attempt_seconds", stage.deadline),
                    give_up=self._of(stage.name, "give_up_seconds", stage.give_up),
                )
                for stage in GENVIDEO.stages
            },
            job_seconds=self.job_seconds,
            drain_seconds=self.drain_seconds,
            accept_seconds=self.accept_seconds,
            gates=tuple(gate for gate in STAGE_GATES if gate in _listed(self.gates)),
            pace=self.pace,
        )

    def patience(self, order: Order) -> Patience:
        """What one generation is allowed before it counts as lost, or is given up."""
        stage = GENVIDEO.stage(order.step)
        return Patience(
            deadline=order.deadline_seconds,
            setting=f"{order.step.upper()}_ATTEMPT_SECONDS",
            give_up=order.give_up_seconds,
            lost=self.lost_seconds(order.step),
            address=self._of(order.step, "address_seconds", stage.address),
        )

    def lost_seconds(self, step: str) -> float:
        """How long a vendor may deny what it has accepted before that counts as lost."""
        return self._of(step, "lost_seconds", GENVIDEO.stage(step).lost)

    def _of(self, step: str, name: str, default: float) -> float:
        """A time of a stage: the setting of that name, if there is one."""
        seconds: float = getattr(self, f"{step}_{name}", default)
        return seconds

    def vendor_addresses(self) -> dict[str, str]:
        """The two services' own."""
        return {IMAGE.name: self.image_service_url, VIDEO.name: self.video_service_url}

    def proxy_for(self, url: str) -> str | None:
        """The proxy by which a vendor at this address is called; None where that is near, or
        there is none."""
        return None if is_near(urlsplit(url).hostname or "") else self.proxy()

    def proxy(self) -> str | None:
        """The address of the proxy, with its password."""
        return self.vendor_proxy.get_secret_value() if self.vendor_proxy else None

    def inside_hosts(self) -> frozenset[str]:
        """`host:port` of the two services; results may come from there wherever that is."""
        return frozenset(map(host_of, self.vendor_addresses().values()))

    def outside_hosts(self, *vendors_own: str) -> frozenset[str]:
        """Every further host that results may come from, by the setting and by the vendors."""
        return result_hosts([*_listed(self.result_hosts), *vendors_own])


def _listed(text: str) -> list[str]:
    """The items of a list with commas."""
    return [item for item in map(str.strip, text.split(",")) if item]


def host_of(url: str) -> str:
    """The `host:port` part of an address, as written but for capitals and a password."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()
