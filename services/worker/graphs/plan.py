"""Make the graph that is sent for a job: the user's graph, with the job's values."""

import hashlib
import re
import uuid
from dataclasses import dataclass
from typing import Any

from services.worker.graphs.binding import Binding, Role, is_number
from services.worker.graphs.files import STEM
from services.worker.graphs.graph import Graph

# The version of the UUIDs that `prompt_id_of` makes, and their name space.
_MADE_OF_A_NAME = 5
_NAMESPACE = uuid.UUID("5e0f1c4e-6a5b-5d0c-9f3e-2b7f3f0a1d6e")
_STYLE = re.compile(r"[\s,;]*\{style\}")
_PLACE = re.compile(r"\{(prompt|style)\}")
_MODEL = re.compile(r"\.(safetensors|sft|ckpt|gguf|pth?|bin)$", re.IGNORECASE)
_PROMPT_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
# Some nodes take no more bits.
_SEED_BYTES = 4
MOST_SEED = 2 ** (8 * _SEED_BYTES) - 1


@dataclass(frozen=True)
class Plan:
    """A graph, its bound inputs, and the values that all jobs share.

    `template`: how prompt and style are joined. With None the width and height of the graph stay.
    """

    graph: Graph
    binding: Binding
    template: str
    width: int | None = None
    height: int | None = None

    def order(self, external_id: str, *, prompt: str, style: str) -> dict[str, Any]:
        values = {
            Role.PROMPT: merged(self.template, prompt=prompt, style=style),
            Role.SEED: seed_of(external_id),
            Role.WIDTH: self.width,
            Role.HEIGHT: self.height,
            Role.PREFIX: f"{folder_of(prompt_id_of(external_id))}/{STEM}",
        }
        return self.graph.filled(
            {
                target: values[role]
                for role, targets in self.binding.targets.items()
                for target in targets
                if values[role] is not None
            }
        )

    def models(self) -> list[str]:
        """Return the model files that the nodes name, each once."""
        values = (node.value(name) for node in self.graph for name in node.inputs)
        return list(dict.fromkeys(v for v in values if isinstance(v, str) and _MODEL.search(v)))

    def weights(self) -> dict[str, int]:
        """Return each node's share of the work: a sampler's steps, one for any other node."""
        steps = {node.id: node.value("steps") for node in self.graph}
        return {key: max(1, value) if is_number(value) else 1 for key, value in steps.items()}


def merged(template: str, *, prompt: str, style: str) -> str:
    """Join prompt and style; without a style the joining words are left out."""
    values = {"prompt": prompt, "style": style}
    template = template if style else _STYLE.sub("", template)
    return _PLACE.sub(lambda found: values[found[1]], template)


def prompt_id_of(either_id: str) -> str:
    """Return the prompt id that is derived from our id of a generation; return a prompt id
    unchanged."""
    if _PROMPT_ID.fullmatch(either_id):
        return either_id
    return str(uuid.uuid5(_NAMESPACE, either_id))


def is_made_of_ours(prompt_id: object) -> bool:
    """True if a prompt id was derived from one of our ids; the server's own ids are random."""
    return (
        isinstance(prompt_id, str)
        and _PROMPT_ID.fullmatch(prompt_id) is not None
        and uuid.UUID(prompt_id).version == _MADE_OF_A_NAME
    )


def seed_of(external_id: str) -> int:
    """Return a seed that is the same each time an attempt is sent, and different for another
    attempt."""
    return int.from_bytes(hashlib.sha256(external_id.encode()).digest()[:_SEED_BYTES])


def folder_of(prompt_id: str) -> str:
    return f"genvideo/{prompt_id}"
