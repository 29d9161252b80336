"""The node types that the mock knows, out of the real server's catalogue; models are stand-ins."""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

Config = dict[str, Any]
# What stands in the catalogue for the files of a folder.
_FOLDER = "$"
_INPUT = "$input"
_PLAIN = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
# Folders with models, in the order in which the real server tells them.
MODEL_FOLDERS = (
    *("checkpoints", "configs", "loras", "vae", "text_encoders", "diffusion_models", "clip_vision"),
    *("style_models", "embeddings", "diffusers", "vae_approx", "controlnet", "gligen"),
    *("upscale_models", "latent_upscale_models", "custom_nodes", "hypernetworks", "photomaker"),
    *("classifiers", "model_patches", "audio_encoders"),
)
_FILLED = ("checkpoints", "loras", "vae", "text_encoders", "diffusion_models")
_STEPS = {"KSampler": "steps", "KSamplerAdvanced": "steps"}
_EXTRAS = ("search_aliases", "essentials_category")
ANY = "*"


@dataclass(frozen=True, slots=True)
class Input:
    """`shown` is the input as the server tells it: `[type, config]`, or `[choices, config]`."""

    kind: str
    shown: list[Any]
    required: bool = True

    @property
    def config(self) -> Config:
        return self.shown[1] if len(self.shown) > 1 else {}

    @property
    def linked(self) -> bool:
        return self.kind not in _PLAIN

    @property
    def choices(self) -> list[Any] | None:
        """What it may be, where that is a list."""
        if isinstance(self.shown[0], list):
            return self.shown[0]
        return self.config.get("options") if self.kind == "COMBO" else None


@dataclass(frozen=True, slots=True)
class NodeType:
    """`told` is its whole entry in the catalogue."""

    inputs: dict[str, Input]
    outputs: tuple[str, ...] = ()
    # Its result is kept, and a graph needs one of these.
    is_output: bool = False
    # It reports steps of its own, by the input of this name.
    steps: str | None = None
    told: Config = field(default_factory=dict)


Models = dict[str, list[str]]


def models_of(checkpoints: tuple[str, ...]) -> Models:
    """What files there are, by folder; a server without checkpoints has nothing else either."""
    filled = list(checkpoints)
    return {folder: filled if folder in _FILLED else [] for folder in MODEL_FOLDERS}


def build_nodes(models: Models) -> dict[str, NodeType]:
    """Every type by its class."""
    return {name: _type(name, entry, models) for name, entry in _catalogue().items()}


def told_entry(node: NodeType, pictures: list[str]) -> Config:
    """What `/object_info` says of it; `pictures` are the files of the input folder."""
    text = json.dumps(node.told)
    entry: Config = json.loads(text.replace(f'["{_INPUT}"]', json.dumps(pictures)))
    return entry


@cache
def _catalogue() -> dict[str, Config]:
    text = (Path(__file__).parent / "catalogue.json").read_text(encoding="utf-8")
    found: dict[str, Config] = json.loads(text)
    return found


def _type(name: str, entry: Config, models: Models) -> NodeType:
    told = _told(name, entry, models)
    inputs = {
        each: _input(shown, required=group == "required")
        for group in ("required", "optional")
        for each, shown in told["input"].get(group, {}).items()
    }
    return NodeType(
        inputs, tuple(told["output"]), told["output_node"], steps=_STEPS.get(name), told=told
    )


def _input(shown: list[Any], *, required: bool) -> Input:
    kind = shown[0]
    if kind == [_INPUT]:
        # Judged by whether there is such a file, and not by the list.
        kind = "STRING"
    return Input("COMBO" if isinstance(kind, list) else kind, shown, required)


def _told(name: str, entry: Config, models: Models) -> Config:
    groups = {
        group: {each: _with_models(shown, models) for each, shown in inputs.items()}
        for group, inputs in entry["input"].items()
    }
    return {
        "input": groups,
        "input_order": {group: list(inputs) for group, inputs in groups.items()},
        "is_input_list": False,
        "output": entry["output"],
        "output_is_list": [False] * len(entry["output"]),
        "output_name": entry.get("output_name", entry["output"]),
        "name": name,
        "display_name": entry.get("display_name", name),
        "description": entry.get("description", ""),
        "python_module": entry.get("python_module", "nodes"),
        "category": entry["category"],
        "output_node": entry.get("output_node", False),
        "has_intermediate_output": False,
        **{each: entry[each] for each in _EXTRAS if each in entry},
    }


def _with_models(shown: Any, models: Models) -> Any:
    """The choices that are files of a folder, as they are."""
    if isinstance(shown, list) and isinstance(shown[0], list) and shown[0] != [_INPUT]:
        first = shown[0][0] if shown[0] else ""
        if first.startswith(_FOLDER):
            return [models[first.removeprefix(_FOLDER)], *shown[1:]]
    return shown
