"""The waiting requests small enough to hand on: a payload may have 2 MiB, and a queue is long.

Each value stands under its field's name, so that a release reads what a newer one packed.
"""

import base64
import json
import zlib
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

from shared.slot.messages import SlotRequest

# The quickest level; ids are random, so that more effort gains little.
LEVEL = 1


def pack(requests: tuple[SlotRequest, ...]) -> str:
    """A third of the size that the requests have as JSON."""
    rows = [list(request.model_dump(mode="json").values()) for request in requests]
    return packed({"names": list(SlotRequest.model_fields), "rows": rows})


def packed(table: object) -> str:
    """A table in the form in which it is handed on."""
    return base64.b64encode(zlib.compress(json.dumps(table).encode(), LEVEL)).decode()


def unpack(value: object) -> object:
    """What `pack` made, as requests; anything else as it is, for the model to judge."""
    if not isinstance(value, str):
        return value
    table = json.loads(zlib.decompress(base64.b64decode(value)))
    rows = (dict(zip(table["names"], row, strict=True)) for row in table["rows"])
    return tuple(map(SlotRequest.model_validate, rows))


Packed = Annotated[
    tuple[SlotRequest, ...],
    BeforeValidator(unpack),
    PlainSerializer(pack, return_type=str, when_used="json"),
]
