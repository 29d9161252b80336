"""The worker's settings by its environment: bare, with what a test puts there, and refused."""

from collections.abc import Callable

import pytest

from services.worker.settings.worker import WorkerSettings
from shared.settings.common import USAGE, load

SECRET = "0123456789abcdef0123456789abcdef"
Loads = Callable[..., WorkerSettings]
Refuses = Callable[..., str]


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    """Load with no setting but the secret, which has no default, and those of the call."""

    def made(**settings: object) -> WorkerSettings:
        for name in WorkerSettings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in {"CALLBACK_SECRET": SECRET, **settings}.items():
            monkeypatch.setenv(name, str(value))
        return load(WorkerSettings)

    return made


@pytest.fixture
def refuses(loads: Loads, capsys: pytest.CaptureFixture[str]) -> Refuses:
    """The one line that is said where the settings of the call are refused."""

    def made(**settings: object) -> str:
        with pytest.raises(SystemExit) as exit_:
            loads(**settings)
        assert exit_.value.code == USAGE
        line = capsys.readouterr().err
        assert line.startswith("wrong settings: ")
        assert line.count("\n") == 1
        return line

    return made
