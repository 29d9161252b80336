"""Secrets that the stack makes for itself; each is made once and only its owner can read it."""

import secrets

from compose.stack.remembered import write_private
from compose.stack.settings import Settings


def callback_secret(settings: Settings) -> str:
    """The key of the per-task callback tokens: the user's, or ours from the data folder."""
    if given := settings.values.get("CALLBACK_SECRET"):
        return given
    path = settings.data_dir / "secrets" / "callback_secret"
    if not path.is_file():
        write_private(path, secrets.token_urlsafe(32))
        path.parent.chmod(0o700)
    return path.read_text(encoding="utf-8").strip()
