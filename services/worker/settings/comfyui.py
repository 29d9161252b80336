"""Settings of a ComfyUI that is asked by its native API; its address is the image service's."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, model_validator
from pydantic_settings import BaseSettings

from services.worker.graphs.binding import bind
from services.worker.graphs.graph import GraphError, read_graph
from services.worker.graphs.plan import Plan

Side = Annotated[int, Field(ge=16, le=16384)]
_HEADER = re.compile(
    r"(?P<name>[!#$%&'*+.^`|~\w-]+):[ \t]*(?P<value>[!-~]([ -~]*[!-~])?)", re.ASCII
)
# What the client says itself, or what a server refuses (Origin).
_OURS = frozenset(
    {
        *("accept-encoding", "connection", "content-length", "content-type", "cookie2", "host"),
        *("origin", "range", "sec-fetch-site", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)


def _are_headers(setting: SecretStr) -> SecretStr:
    headers_of(setting)
    return setting


def headers_of(setting: SecretStr | None) -> dict[str, str]:
    """`Name: value` pairs with commas between them; ValueError shows none of the values."""
    found: dict[str, str] = {}
    parts = setting.get_secret_value().split(",") if setting else ()
    for number, part in enumerate(parts, 1):
        header = _HEADER.fullmatch(part.strip())
        if header is None:
            raise ValueError(f"the pair {number} is not Name: value")
        if header["name"].lower() in _OURS:
            raise ValueError(f"{header['name']} can't be set")
        found[header["name"]] = header["value"]
    return found


def _has_prompt(template: str) -> str:
    if "{prompt}" not in template:
        raise ValueError("it must have {prompt} in it")
    return template


class ComfyuiWireSettings(BaseSettings):
    """Which API the image service speaks, and what a ComfyUI is asked to run."""

    image_api: Literal["service", "comfyui"] = "service"
    comfyui_workflow: Path | None = None
    comfyui_bindings: str = ""
    comfyui_output: str = ""
    comfyui_headers: Annotated[SecretStr, AfterValidator(_are_headers)] | None = None
    comfyui_prompt: Annotated[str, AfterValidator(_has_prompt)] = "{prompt}, {style}"
    comfyui_width: Side | None = None
    comfyui_height: Side | None = None

    _plan: Plan | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _reads_the_workflow(self) -> Self:
        """Now, so that whatever does not fit is told before anything begins."""
        if self.image_api == "comfyui":
            self._plan = self._planned()
        return self

    def _planned(self) -> Plan:
        path = self.comfyui_workflow
        if path is None:
            raise ValueError("COMFYUI_WORKFLOW: IMAGE_API=comfyui needs the file of a workflow")
        sized = self.comfyui_width is not None or self.comfyui_height is not None
        try:
            graph = read_graph(path)
        except GraphError as error:
            raise ValueError(f"COMFYUI_WORKFLOW: {error}") from None
        binding = bind(
            graph, bindings=self.comfyui_bindings, output=self.comfyui_output, sized=sized
        )
        return Plan(graph, binding, self.comfyui_prompt, self.comfyui_width, self.comfyui_height)

    @property
    def plan(self) -> Plan:
        """What is sent to the ComfyUI; only where one is asked."""
        if self._plan is None:
            raise GraphError("no ComfyUI is asked")
        return self._plan
