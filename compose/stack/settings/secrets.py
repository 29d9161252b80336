"""What the stack makes for itself, once: secrets that only their owner can read, and its name."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from pathlib import Path

from compose.stack.private import write_private
from compose.stack.settings.load import STACK_NAME, Settings


def make(settings: Settings) -> None:
    """Have all of them, before several threads ask for them at once."""
    _keep(_folder(settings) / "operator_key", operator_key(settings))
    stack_name(settings)


def callback_secret(settings: Settings) -> str:
    """What callback tokens and the operator's key come of: the user's, or ours from the folder."""
    if given := settings.values.get("CALLBACK_SECRET"):
        return given
    return _made_once(_folder(settings) / "callback_secret", lambda: secrets.token_urlsafe(32))


def operator_key(settings: Settings) -> str:
    """What an operator shows to the callback receiver; `shared.jobs.tokens` derives the same."""
    first = callback_secret(settings).split(",")[0]
    return hmac.new(first.encode(), b"genvideo: operator", hashlib.sha256).hexdigest()


def stack_name(settings: Settings) -> str:
    """The stack's name in Temporal: the user's, or ours from the data folder."""
    if given := settings.values.get("STACK"):
        return given
    path = _folder(settings) / "stack"
    name = _made_once(path, lambda: secrets.token_hex(4))
    if not re.fullmatch(STACK_NAME, name):
        path.unlink()
        name = _made_once(path, lambda: secrets.token_hex(4))
    return name


def keep_stack_name(settings: Settings) -> None:
    """Have the name that was given outlive `make down`, as one of ours does."""
    _keep(_folder(settings) / "stack", stack_name(settings))


def _folder(settings: Settings) -> Path:
    return settings.data_dir / "secrets"


def _made_once(path: Path, make: Callable[[], str]) -> str:
    if not path.is_file():
        write_private(path, make())
    return path.read_text(encoding="utf-8").strip()


def _keep(path: Path, text: str) -> None:
    """Have this in the file, which is left alone where it holds it."""
    if not path.is_file() or path.read_text(encoding="utf-8").strip() != text:
        write_private(path, text)
