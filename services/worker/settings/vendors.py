"""Settings of the vendors' own wires: ComfyUI, Kling, and a class of the user's own."""

import json
import pkgutil
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, model_validator
from pydantic_settings import BaseSettings

from services.worker.graphs.binding import bind
from services.worker.graphs.graph import GraphError, read_graph
from services.worker.graphs.plan import Plan
from shared.http.mistakes import read_by

Side = Annotated[int, Field(ge=16, le=16384)]
_HEADER = re.compile(
    r"(?P<name>[!#$%&'*+.^`|~\w-]+):[ \t]*(?P<value>[!-~]([ -~]*[!-~])?)", re.ASCII
)
# Headers that the client sets itself, or that a server refuses (Origin).
_OURS = frozenset(
    {
        *("accept-encoding", "connection", "content-length", "content-type", "cookie2", "host"),
        *("origin", "range", "sec-fetch-site", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)


def headers_of(setting: SecretStr | None) -> dict[str, str]:
    """Parse `Name: value` pairs with commas between them; no error message shows a value."""
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
    """The API of the image service, and the workflow of a ComfyUI."""

    image_api: Literal["service", "comfyui"] = "service"
    comfyui_workflow: Path | None = None
    comfyui_bindings: str = ""
    comfyui_output: str = ""
    comfyui_headers: Annotated[SecretStr, read_by(headers_of)] | None = None
    comfyui_prompt: Annotated[str, AfterValidator(_has_prompt)] = "{prompt}, {style}"
    comfyui_width: Side | None = None
    comfyui_height: Side | None = None

    _plan: Plan | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _reads_the_workflow(self) -> Self:
        """Read the workflow now, so that mistakes are reported before anything begins."""
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
        """The plan of the graph that is sent; only if a ComfyUI is used."""
        if self._plan is None:
            raise GraphError("no ComfyUI is used")
        return self._plan


def _is_key(setting: SecretStr) -> SecretStr:
    """Check a key, which goes into a header; no message repeats it."""
    text = setting.get_secret_value()
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise ValueError("not a key: it has blanks, or characters that a header may not have")
    return setting


Key = Annotated[SecretStr, AfterValidator(_is_key)]


def _is_there(video_api: str) -> str:
    """Import the class now, so that a wrong name is reported before anything starts."""
    if not re.fullmatch(r"service|kling|[A-Za-z_][\w.]*:[A-Za-z_]\w*", video_api):
        raise ValueError("must be service, kling or package.module:Class")
    if ":" in video_api:
        try:
            pkgutil.resolve_name(video_api)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"{video_api} can't be imported: {error}") from None
    return video_api


# `package.module:Class` is a vendor of the user's own.
VideoApi = Annotated[str, AfterValidator(_is_there)]


class VideoApiSettings(BaseSettings):
    """Settings of the worker; those of a vendor are read only if it is used."""

    video_api: VideoApi = "service"
    # Secret, because a vendor's key is among them.
    video_api_options: (
        Annotated[SecretStr, read_by(lambda it: extra_of(it.get_secret_value()))] | None
    ) = None

    @property
    def own_options(self) -> dict[str, Any]:
        """The options of a vendor that VIDEO_API names by its class."""
        options = self.video_api_options
        return extra_of(options.get_secret_value()) if options else {}


def extra_of(text: str) -> dict[str, Any]:
    """Return the members of a JSON object; raise ValueError for anything else."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError("is not a JSON object")
    return found


# Members that each request has already.
OURS = frozenset(
    {
        *("model_name", "image", "prompt", "mode", "duration", "sound"),
        *("callback_url", "external_task_id"),
    }
)
DEFAULT_MODEL = "kling-v2-6"
# The models of the third version.
NEW_MODELS = re.compile(r"v3|omni")
OLD_SECONDS = (5, 10)


def _is_extra(text: str) -> str:
    taken = sorted(OURS & extra_of(text).keys())
    if taken:
        raise ValueError(f"sets what other settings set: {', '.join(taken)}")
    return text


class KlingSettings(VideoApiSettings):
    kling_api_key: Key | None = None
    kling_access_key: Key | None = None
    kling_secret_key: Key | None = None
    kling_model: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,100}$")] = ""
    kling_mode: Literal["std", "pro", "4k"] = "std"
    kling_duration: Annotated[int, Field(ge=3, le=15)] = 5
    kling_sound: Literal["off", "on"] = "off"
    kling_extra: Annotated[str, AfterValidator(_is_extra)] = ""
    kling_look_up: Literal["on", "off"] = "on"

    @property
    def model(self) -> str:
        return self.kling_model or DEFAULT_MODEL

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.video_api == "kling":
            wrong = "; ".join(filter(None, (self._keys(), self._work())))
            if wrong:
                raise ValueError(wrong)
        return self

    def _keys(self) -> str:
        pair = [key is not None for key in (self.kling_access_key, self.kling_secret_key)]
        if any(pair) != all(pair):
            return "KLING_ACCESS_KEY and KLING_SECRET_KEY go together"
        if (self.kling_api_key is not None) == all(pair):
            need = "either KLING_API_KEY, or KLING_ACCESS_KEY with KLING_SECRET_KEY"
            return f"VIDEO_API=kling needs {need}" + (", not both" if all(pair) else "")
        return ""

    def _work(self) -> str:
        if NEW_MODELS.search(self.model):
            return ""
        if self.kling_duration not in OLD_SECONDS:
            return f"KLING_DURATION={self.kling_duration}: {self.model} makes 5 or 10 seconds"
        return f"KLING_MODE=4k: {self.model} has std and pro" if self.kling_mode == "4k" else ""
