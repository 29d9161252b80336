"""The waiting requests small enough to hand on: a payload may have 2 MiB, and a queue is long."""

import base64
import json
import zlib
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

from shared.slots import SlotRequest

# The quickest level; ids are random, so that more effort gains little.
LEVEL = 1


def pack(requests: tuple[SlotRequest, ...]) -> str:
    """A third of the size that the requests have as JSON."""
    rows = [list(request.model_dump(mode="json").values()) for request in requests]
    return base64.b64encode(zlib.compress(json.dumps(rows).encode(), LEVEL)).decode()


def unpack(value: object) -> object:
    """What `pack` made, as requests; anything else as it is, for the model to judge."""
    if not isinstance(value, str):
        return value
    rows = json.loads(zlib.decompress(base64.b64decode(value)))
    names = tuple(SlotRequest.model_fields)
    return tuple(SlotRequest.model_validate(dict(zip(names, row, strict=True))) for row in rows)


Packed = Annotated[
    tuple[SlotRequest, ...],
    BeforeValidator(unpack),
    PlainSerializer(pack, return_type=str, when_used="json"),
]
