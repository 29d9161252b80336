"""Node types of the real server's catalogue: their inputs, and what their values may be."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Config = dict[str, Any]
# The catalogue's placeholder for the pictures of the input folder; `$` and a folder for models.
_INPUT = "$input"
# A choice that adds inputs, whose names begin with its own and a dot.
_DYNAMIC = "COMFY_DYNAMICCOMBO_V3"
_PLAIN = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", _DYNAMIC)
# Folders with models, in the order of the real server.
MODEL_FOLDERS = (
    *("checkpoints", "configs", "loras", "vae", "text_encoders", "diffusion_models", "clip_vision"),
    *("style_models", "embeddings", "diffusers", "vae_approx", "controlnet", "gligen"),
    *("upscale_models", "latent_upscale_models", "custom_nodes", "hypernetworks", "photomaker"),
    *("classifiers", "model_patches", "audio_encoders"),
)
_FILLED = ("checkpoints", "loras", "vae", "text_encoders", "diffusion_models")
_EXTRAS = ("search_aliases", "essentials_category")
# Additional members of newer nodes; their display name is null if they have none.
_NEWER_FLAGS = ("deprecated", "experimental", "dev_only", "api_node")
_NEWER_NULLS = ("output_matchtypes", "price_badge", *_EXTRAS)
ANY = "*"


@dataclass(frozen=True, slots=True)
class Input:
    """An input. `shown` is how the server shows it: `[type, config]`, or `[choices, config]`."""

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
        """The choices, if it is a list."""
        if isinstance(self.shown[0], list):
            return self.shown[0]
        return self.config.get("options") if self.kind == "COMBO" else None


@dataclass(frozen=True, slots=True)
class NodeType:
    """A node type; `info` is its whole entry in the catalogue."""

    inputs: dict[str, Input]
    info: Config

    @property
    def outputs(self) -> list[str]:
        return self.info["output"]  # type: ignore[no-any-return]

    @property
    def is_output(self) -> bool:
        """True if its result is kept; a graph needs one of these."""
        return bool(self.info["output_node"])

    @property
    def steps(self) -> str | None:
        """The input with the number of steps, if it reports its own steps."""
        return "steps" if self.info["name"] in ("KSampler", "KSamplerAdvanced") else None

    def takes(self, given: Config) -> dict[str, Input]:
        """Return its inputs, and those that its choices add; ignore an invalid choice."""
        found: dict[str, Input] = {}
        for name, wanted in self.inputs.items():
            if wanted.kind != _DYNAMIC:
                found[name] = wanted
                continue
            for option in wanted.config["options"]:
                if option["key"] == given.get(name):
                    found[name] = wanted
                    found |= _inputs(option["inputs"], within=f"{name}.")
        return found


Models = dict[str, list[str]]


def models_of(checkpoints: tuple[str, ...]) -> Models:
    """Return the files by folder; a server without checkpoints has no other models either."""
    filled = list(checkpoints)
    return {folder: filled if folder in _FILLED else [] for folder in MODEL_FOLDERS}


def build_nodes(models: Models) -> dict[str, NodeType]:
    """Return every type by its class."""
    text = (Path(__file__).parent / "catalogue.json").read_text(encoding="utf-8")
    for folder, files in models.items():
        text = text.replace(f'["${folder}"]', json.dumps(files))
    nodes: dict[str, NodeType] = {}
    for name, entry in json.loads(text).items():
        groups, outputs, newer = entry["input"], entry["output"], entry.get("newer", False)
        info = {
            "input": groups,
            "input_order": {group: list(inputs) for group, inputs in groups.items()},
            "is_input_list": False,
            "output": outputs,
            "output_is_list": [False] * len(outputs),
            "output_name": entry.get("output_name", outputs),
            "name": name,
            "display_name": entry.get("display_name", None if newer else name),
            "description": entry.get("description", ""),
            "python_module": entry.get("python_module", "nodes"),
            "category": entry["category"],
            "output_node": entry.get("output_node", False),
            "has_intermediate_output": False,
            **(dict.fromkeys(_NEWER_FLAGS, False) if newer else {}),
            **(dict.fromkeys(_NEWER_NULLS) if newer else {}),
            **({"output_tooltips": [None] * len(outputs)} if newer else {}),
            **{each: entry[each] for each in _EXTRAS if each in entry},
        }
        nodes[name] = NodeType(_inputs(groups), info)
    return nodes


def entry_of(node: NodeType, pictures: list[str]) -> Config:
    """Return the entry of a node type in `/object_info`; `pictures` are the files of the input
    folder."""
    text = json.dumps(node.info).replace(f'["{_INPUT}"]', json.dumps(pictures))
    entry: Config = json.loads(text)
    return entry


def _inputs(groups: Config, *, within: str = "") -> dict[str, Input]:
    found: dict[str, Input] = {}
    for group in ("required", "optional"):
        for each, shown in groups.get(group, {}).items():
            kind = "COMBO" if isinstance(shown[0], list) else shown[0]
            if shown[0] == [_INPUT]:
                # Checked against the files, not against the list.
                kind = "STRING"
            found[f"{within}{each}"] = Input(kind, shown, group == "required")
    return found
