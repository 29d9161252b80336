"""Which wire the worker speaks to its video vendor: the small contract, or Kling's own."""

import pytest

from services.mock_kling.config import initial_config
from services.mock_kling.settings import KlingSettings
from tests.services.mock_core.serving import Json

_MOCK = initial_config(KlingSettings())
KLING: Json = {
    "video_api": "kling",
    "kling_access_key": _MOCK.access_key,
    "kling_secret_key": _MOCK.secret_key,
}
WIRES: dict[str, Json] = {"service": {}, "kling": KLING}
# For a test, or a suite, of which both are to be true; `wire` goes to the worker's settings.
over_both_wires = pytest.mark.parametrize("wire", WIRES.values(), ids=list(WIRES))
