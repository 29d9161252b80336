"""Settings that several services have."""

import pytest

from shared.settings.common import CommonSettings


def test_empty_variable_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "")
    assert CommonSettings().log_level == "INFO"
