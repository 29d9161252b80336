"""Where everything answers: what is neither here nor named is not shown."""

import pytest

from compose.stack.commands import status
from tests.compose.stack.conftest import Load

SERVER = ["Temporal UI", "Temporal gRPC"]
MOCKS = ["image service (mock ComfyUI)", "video service (mock Kling proxy)"]
WHOLE = ["dashboard", "API reference", *SERVER, "callback receiver", *MOCKS]
AWAY = {"TEMPORAL_ADDRESS": "203.0.113.5:7233"}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, WHOLE),
        (AWAY, [what for what in WHOLE if what != "Temporal UI"]),
        (AWAY | {"TEMPORAL_UI_URL": "http://203.0.113.5:8080"}, WHOLE),
        ({"ROLES": "mock-kling"}, MOCKS[1:]),
        ({"ROLES": "temporal"}, SERVER),
    ],
)
def test_each_part_has_its_address(
    settings: Load, capsys: pytest.CaptureFixture[str], given: dict[str, str], shown: list[str]
) -> None:
    status.urls(settings(**given))
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition("  ")[0].rstrip() for line in lines] == shown
