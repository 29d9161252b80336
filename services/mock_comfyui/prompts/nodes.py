"""Node types of the real server's catalogue, and checks of their inputs."""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

Config = dict[str, Any]
# The catalogue's placeholder for the files of a folder.
_FOLDER = "$"
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
_STEPS = {"KSampler": "steps", "KSamplerAdvanced": "steps"}
_EXTRAS = ("search_aliases", "essentials_category")
# Additional members of newer nodes; their display name is null if they have none.
_NEWER_FLAGS = ("deprecated", "experimental", "dev_only", "api_node")
_NEWER_NULLS = ("output_matchtypes", "price_badge")
ANY = "*"


@dataclass(frozen=True, slots=True)
class Input:
    """`shown` is the input as the server shows it: `[type, config]`, or `[choices, config]`."""

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
    """`info` is its whole entry in the catalogue."""

    inputs: dict[str, Input]
    outputs: tuple[str, ...] = ()
    # Its result is kept, and a graph needs one of these.
    is_output: bool = False
    # It reports its own steps, by the input of this name.
    steps: str | None = None
    info: Config = field(default_factory=dict)

    def takes(self, given: Config) -> dict[str, Input]:
        """Return its inputs, with those that its choices add; an invalid choice is ignored."""
        found: dict[str, Input] = {}
        for name, wanted in self.inputs.items():
            if wanted.kind != _DYNAMIC:
                found[name] = wanted
                continue
            options = wanted.config["options"]
            chosen = next((it for it in options if it["key"] == given.get(name)), None)
            if chosen is not None:
                found[name] = wanted
                found |= _inputs(chosen["inputs"], within=f"{name}.")
        return found


Models = dict[str, list[str]]


def models_of(checkpoints: tuple[str, ...]) -> Models:
    """Return the files by folder; a server without checkpoints has no other models either."""
    filled = list(checkpoints)
    return {folder: filled if folder in _FILLED else [] for folder in MODEL_FOLDERS}


def build_nodes(models: Models) -> dict[str, NodeType]:
    """Return every type by its class."""
    return {name: _type(name, entry, models) for name, entry in _catalogue().items()}


def entry_of(node: NodeType, pictures: list[str]) -> Config:
    """Return its entry in `/object_info`; `pictures` are the files of the input folder."""
    text = json.dumps(node.info)
    entry: Config = json.loads(text.replace(f'["{_INPUT}"]', json.dumps(pictures)))
    return entry


@cache
def _catalogue() -> dict[str, Config]:
    text = (Path(__file__).parent / "catalogue.json").read_text(encoding="utf-8")
    found: dict[str, Config] = json.loads(text)
    return found


def _type(name: str, entry: Config, models: Models) -> NodeType:
    info = _described(name, entry, models)
    return NodeType(
        _inputs(info["input"]),
        tuple(info["output"]),
        info["output_node"],
        steps=_STEPS.get(name),
        info=info,
    )


def _inputs(groups: Config, *, within: str = "") -> dict[str, Input]:
    return {
        f"{within}{each}": _input(shown, required=group == "required")
        for group in ("required", "optional")
        for each, shown in groups.get(group, {}).items()
    }


def _input(shown: list[Any], *, required: bool) -> Input:
    kind = shown[0]
    if kind == [_INPUT]:
        # Checked against the files, not against the list.
        kind = "STRING"
    return Input("COMBO" if isinstance(kind, list) else kind, shown, required)


def _described(name: str, entry: Config, models: Models) -> Config:
    groups = {
        group: {each: _with_models(shown, models) for each, shown in inputs.items()}
        for group, inputs in entry["input"].items()
    }
    newer = entry.get("newer", False)
    return {
        "input": groups,
        "input_order": {group: list(inputs) for group, inputs in groups.items()},
        "is_input_list": False,
        "output": entry["output"],
        "output_is_list": [False] * len(entry["output"]),
        "output_name": entry.get("output_name", entry["output"]),
        "name": name,
        "display_name": entry.get("display_name", None if newer else name),
        "description": entry.get("description", ""),
        "python_module": entry.get("python_module", "nodes"),
        "category": entry["category"],
        "output_node": entry.get("output_node", False),
        "has_intermediate_output": False,
        **(dict.fromkeys(_NEWER_FLAGS, False) if newer else {}),
        **(dict.fromkeys((*_NEWER_NULLS, *_EXTRAS)) if newer else {}),
        **({"output_tooltips": [None] * len(entry["output"])} if newer else {}),
        **{each: entry[each] for each in _EXTRAS if each in entry},
    }


def _with_models(shown: Any, models: Models) -> Any:
    """Fill in the choices that are files of a folder."""
    if isinstance(shown, list) and isinstance(shown[0], list) and shown[0] != [_INPUT]:
        first = shown[0][0] if shown[0] else ""
        if first.startswith(_FOLDER):
            return [models[first.removeprefix(_FOLDER)], *shown[1:]]
    return shown


Mistake = dict[str, Any]
# Beyond this many choices only their number is reported.
_MOST_CHOICES = 20


def mistake(kind: str, message: str, details: str, **extra: Any) -> Mistake:
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def missing(name: str) -> Mistake:
    return mistake("required_input_missing", "Required input is missing", name, input_name=name)


def bad_link(name: str, wanted: Input, value: object) -> Mistake:
    return mistake(
        "bad_linked_input",
        "Bad linked input, must be a length-2 list of [node_id, slot_index]",
        name,
        input_name=name,
        input_config=wanted.shown,
        received_value=value,
    )


def wrong_type(name: str, wanted: Input, received: str, link: list[Any]) -> Mistake:
    return mistake(
        "return_type_mismatch",
        "Return type mismatch between linked nodes",
        f"{name}, received_type({received}) mismatch input_type({wanted.kind})",
        input_name=name,
        input_config=wanted.shown,
        received_type=received,
        linked_node=link,
    )


def no_such_picture(name: str, value: object) -> Mistake:
    return mistake(
        "custom_validation_failed",
        "Custom validation failed for node",
        f"{name} - Invalid image file: {value}",
        input_name=name,
    )


def types_fit(wanted: str, received: str) -> bool:
    return wanted == received or ANY in (wanted, received)


def converted(name: str, wanted: Input, value: Any) -> tuple[Any, Mistake | None]:
    """Return the value as the server converts it, or what is wrong with it."""
    try:
        return _as(wanted.kind, value), None
    except (ValueError, TypeError, OverflowError) as error:
        return value, mistake(
            "invalid_input_type",
            f"Failed to convert an input value to a {wanted.kind} value",
            f"{name}, {value}, {error}",
            input_name=name,
            input_config=wanted.shown,
            received_value=value,
            exception_message=str(error),
        )


def _as(kind: str, value: Any) -> Any:
    match kind:
        case "INT":
            return int(value)
        case "FLOAT":
            return float(value)
        case "STRING":
            return str(value)
        case "BOOLEAN":
            return bool(value)
    return value


def outside(name: str, wanted: Input, value: Any) -> Mistake | None:
    """Return what is wrong with a value of the right type, or None."""
    config = wanted.config
    info = {"input_name": name, "input_config": wanted.shown, "received_value": value}
    if "min" in config and value < config["min"]:
        message = f"Value {value} smaller than min of {config['min']}"
        return mistake("value_smaller_than_min", message, name, **info)
    if "max" in config and value > config["max"]:
        message = f"Value {value} bigger than max of {config['max']}"
        return mistake("value_bigger_than_max", message, name, **info)
    choices = wanted.choices
    if wanted.kind == "COMBO" and choices is not None and value not in choices:
        listed = str(choices)
        if len(choices) > _MOST_CHOICES:
            listed, info["input_config"] = f"(list of length {len(choices)})", None
        details = f"{name}: '{value}' not in {listed}"
        return mistake("value_not_in_list", "Value not in list", details, **info)
    return None
