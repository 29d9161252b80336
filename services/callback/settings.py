"""Settings of the receiver; nothing is read before `load`."""

from collections.abc import Mapping
from typing import Any

from pydantic import AnyHttpUrl, Field

from shared.http.hosts import host_of_url, is_loopback
from shared.settings.common import CallbackSecret, Port
from shared.settings.pipelines import PipelineSettings
from shared.store.settings import StoreSettings


class CallbackSettings(StoreSettings, PipelineSettings):
    callback_port: Port = 8001
    callback_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8001")
    callback_secret: CallbackSecret
    # Whether everything but the callback needs the operator's key; the stack knows who reaches the
    # port.
    callback_guarded: bool = Field(default_factory=lambda known: not _only_here(known))

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts of the settings, and the host of CALLBACK_URL."""
        return super().hosts | {host_of_url(str(self.callback_url))}


def _only_here(known: Mapping[str, Any]) -> bool:
    called = host_of_url(str(known.get("callback_url"))).strip("[]")
    return is_loopback(known["listen_host"]) and is_loopback(called)
