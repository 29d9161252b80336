"""The waiting requests small enough to hand on: a payload may have 2 MiB, and a queue is long.

Each value stands under its field's name, so that releases with other fields read it as well.
"""

import base64
import json
import zlib
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

from shared.slot.messages import SlotRequest

# The quickest level; ids are random, so that more effort gains little.
LEVEL = 1
# What the values were before the names were handed on with them.
UNNAMED = ("job_id", "run_id", "priority", "requested_at")


def pack(requests: tuple[SlotRequest, ...]) -> str:
    """A third of the size that the requests have as JSON."""
    rows = [list(request.model_dump(mode="json").values()) for request in requests]
    return packed({"names": list(SlotRequest.model_fields), "rows": rows})


def packed(table: object) -> str:
    """A table in the form in which it is handed on."""
    return base64.b64encode(zlib.compress(json.dumps(table).encode(), LEVEL)).decode()


def unpack(value: object) -> object:
    """What `pack` made, as requests; anything else as it is, for the model to judge.

    Another release's rows may be longer or shorter: what it doesn't say has its default.
    """
    if not isinstance(value, str):
        return value
    table = json.loads(zlib.decompress(base64.b64decode(value)))
    names, rows = (table["names"], table["rows"]) if isinstance(table, dict) else (UNNAMED, table)
    return tuple(SlotRequest.model_validate(dict(zip(names, row, strict=False))) for row in rows)


Packed = Annotated[
    tuple[SlotRequest, ...],
    BeforeValidator(unpack),
    PlainSerializer(pack, return_type=str, when_used="json"),
]
