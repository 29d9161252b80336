"""A command that was given several things that don't fit names each of them, and does nothing."""

from collections.abc import Callable, Mapping

import pytest

from compose.stack.commands import faults, status
from compose.stack.errors import USAGE, StackError
from compose.stack.modes import choice
from compose.stack.settings.load import Settings
from tests.compose.stack.conftest import Load


@pytest.mark.parametrize(
    ("command", "environ", "said"),
    [
        (status.logs, {"S": "wroker", "LINES": "x"}, ("no service wroker;", "LINES=x is not")),
        (faults.arm, {"RULE": "{", "ON": "all"}, ("RULE is not JSON", "ON=all is not one of")),
        (faults.arm, {"ON": "all"}, ("either RULE", "ON=all is not one of")),
    ],
)
def test_all_that_does_not_fit_is_named(
    settings: Load,
    monkeypatch: pytest.MonkeyPatch,
    *,
    command: Callable[[Settings, Mapping[str, str]], object],
    environ: dict[str, str],
    said: tuple[str, str],
) -> None:
    monkeypatch.delattr(choice, "prepared")
    with pytest.raises(StackError) as refused:
        command(settings(), environ)
    assert refused.value.status == USAGE
    assert "\n" not in str(refused.value)
    assert all(each in str(refused.value) for each in said)
