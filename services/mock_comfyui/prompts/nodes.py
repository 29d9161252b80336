"""The node types that the mock knows: their inputs, outputs and limits as the real server's."""

from dataclasses import dataclass, field
from typing import Any

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Input:
    """`kind` is INT, FLOAT, STRING, BOOLEAN, COMBO, or the type of a link."""

    kind: str
    config: Config = field(default_factory=dict)
    required: bool = True

    @property
    def linked(self) -> bool:
        return self.kind not in ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")


@dataclass(frozen=True, slots=True)
class NodeType:
    inputs: dict[str, Input]
    outputs: tuple[str, ...] = ()
    # Its result is kept, and a graph needs one of these.
    is_output: bool = False
    # It reports steps of its own, by the input of this name.
    steps: str | None = None


ANY = "*"
_SIDE: Config = {"default": 512, "min": 1, "max": 16384, "step": 1}
_SAMPLERS = ["euler", "euler_ancestral", "dpmpp_2m"]
_SCHEDULERS = ["normal", "karras", "simple"]


def _int(default: int, low: int, high: int) -> Input:
    return Input("INT", {"default": default, "min": low, "max": high})


def _float(default: float, low: float, high: float) -> Input:
    return Input("FLOAT", {"default": default, "min": low, "max": high})


def _text(default: str = "") -> Input:
    return Input("STRING", {"default": default})


_TYPES: dict[str, NodeType] = {
    "EmptyImage": NodeType(
        {
            "width": Input("INT", _SIDE),
            "height": Input("INT", _SIDE),
            "batch_size": _int(1, 1, 4096),
            "color": _int(0, 0, 0xFFFFFF),
        },
        ("IMAGE",),
    ),
    "LoadImage": NodeType({"image": _text()}, ("IMAGE", "MASK")),
    "ImageBlur": NodeType(
        {"image": Input("IMAGE"), "blur_radius": _int(1, 1, 31), "sigma": _float(1, 0.1, 10)},
        ("IMAGE",),
    ),
    "SaveImage": NodeType(
        {"images": Input("IMAGE"), "filename_prefix": _text("ComfyUI")}, is_output=True
    ),
    "PreviewImage": NodeType({"images": Input("IMAGE")}, is_output=True),
    "CLIPTextEncode": NodeType({"text": _text(), "clip": Input("CLIP")}, ("CONDITIONING",)),
    "EmptyLatentImage": NodeType(
        {
            "width": _int(512, 16, 16384),
            "height": _int(512, 16, 16384),
            "batch_size": _int(1, 1, 4096),
        },
        ("LATENT",),
    ),
    "KSampler": NodeType(
        {
            "model": Input("MODEL"),
            "seed": _int(0, 0, 0xFFFFFFFFFFFFFFFF),
            "steps": _int(20, 1, 10000),
            "cfg": _float(8.0, 0.0, 100.0),
            "sampler_name": Input("COMBO", {"options": _SAMPLERS}),
            "scheduler": Input("COMBO", {"options": _SCHEDULERS}),
            "positive": Input("CONDITIONING"),
            "negative": Input("CONDITIONING"),
            "latent_image": Input("LATENT"),
            "denoise": _float(1.0, 0.0, 1.0),
        },
        ("LATENT",),
        steps="steps",
    ),
    "VAEDecode": NodeType(
        {"samples": Input("LATENT", {"tooltip": "The latent to be decoded."}), "vae": Input("VAE")},
        ("IMAGE",),
    ),
    "RegexExtract": NodeType(
        {
            "string": _text(),
            "regex_pattern": _text(),
            "mode": Input(
                "COMBO",
                {"options": ["First Match", "All Matches", "First Group", "All Groups"]},
            ),
            "case_insensitive": Input("BOOLEAN"),
            "multiline": Input("BOOLEAN"),
            "dotall": Input("BOOLEAN"),
            "group_index": _int(1, 0, 100),
        },
        ("STRING",),
    ),
    "PreviewAny": NodeType({"source": Input(ANY)}, is_output=True),
}


def build_nodes(checkpoints: tuple[str, ...]) -> dict[str, NodeType]:
    """Every type by its class; `checkpoints` are the models that there are."""
    tip = "The name of the checkpoint (model) to load."
    name = Input("COMBO", {"options": list(checkpoints), "tooltip": tip})
    loader = NodeType({"ckpt_name": name}, ("MODEL", "CLIP", "VAE"))
    return {**_TYPES, "CheckpointLoaderSimple": loader}
