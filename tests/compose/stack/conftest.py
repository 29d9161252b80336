"""A project folder of its own for each test, so that none sees the real `.env`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from compose.stack.settings.load import Settings, load

ROOT = Path(__file__).resolve().parents[3]
Load = Callable[..., Settings]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with nothing in it but the list of settings."""
    (tmp_path / ".env.example").write_bytes((ROOT / ".env.example").read_bytes())
    return tmp_path


@pytest.fixture
def settings(root: Path) -> Load:
    """Loads settings from the given environment alone."""
    return lambda **environ: load(root, environ)
