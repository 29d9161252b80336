"""What is sent for a job: the user's graph with the job's own values; pure, from settings alone."""

import hashlib
import re
import uuid
from dataclasses import dataclass
from typing import Any

from services.worker.graphs.binding import Binding, Role, is_number
from services.worker.graphs.files import STEM
from services.worker.graphs.graph import Graph

# Ours alone: the ids of prompts are made of it.
# The version of a UUID that is made as `prompt_id_of` makes it.
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
    """A graph, where things go in it, and what every job has in common.

    `template`: how prompt and style meet. Width and height as the graph has them where None.
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
        """The files of models that its nodes name, each once."""
        values = (node.value(name) for node in self.graph for name in node.inputs)
        return list(dict.fromkeys(v for v in values if isinstance(v, str) and _MODEL.search(v)))

    def weights(self) -> dict[str, int]:
        """How much of the work each node does: a sampler its steps, any other one step."""
        return {node.id: _steps(node.value("steps")) for node in self.graph}


def _steps(value: object) -> int:
    return max(1, value) if isinstance(value, int) and is_number(value) else 1


def merged(template: str, *, prompt: str, style: str) -> str:
    """Prompt and style in one text; without a style, what joins it is left away."""
    values = {"prompt": prompt, "style": style}
    template = template if style else _STYLE.sub("", template)
    return _PLACE.sub(lambda found: values[found[1]], template)


def prompt_id_of(either_id: str) -> str:
    """The prompt's id of a generation, derived from our id; or that id itself."""
    if _PROMPT_ID.fullmatch(either_id):
        return either_id
    return str(uuid.uuid5(_NAMESPACE, either_id))


def is_made_of_ours(prompt_id: object) -> bool:
    """Whether a prompt's id may be another generation's: a server makes its own ids at random."""
    return (
        isinstance(prompt_id, str)
        and _PROMPT_ID.fullmatch(prompt_id) is not None
        and uuid.UUID(prompt_id).version == _MADE_OF_A_NAME
    )


def seed_of(external_id: str) -> int:
    """The same when it is sent again, another one for another attempt."""
    return int.from_bytes(hashlib.sha256(external_id.encode()).digest()[:_SEED_BYTES])


def folder_of(prompt_id: str) -> str:
    return f"genvideo/{prompt_id}"
