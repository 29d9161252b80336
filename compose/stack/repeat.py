"""The make line that repeats a run; it is printed in the report, to be copied."""

import re
import shlex
from collections.abc import Iterable, Mapping

from compose.stack.settings import Settings

# Settings that decide how jobs run. Where a stack is, and its secrets, are not the run's.
_SHAPING = re.compile(
    r"WORKERS|MOCKS|GATES|FEED|MOCK_\w+|COMFYUI_WORKERS|KLING_PLACES|KLING_DUPLICATES|\w+_SECONDS"
)


def line(
    target: str, settings: Settings, environ: Mapping[str, str], *, options: Iterable[str]
) -> str:
    """`make TARGET` with those of its options that were given, and what was said to the stack."""
    given = {name: environ[name] for name in options if environ.get(name)}
    said = {
        name: value for name, value in sorted(settings.spoken.items()) if _SHAPING.fullmatch(name)
    }
    return " ".join(["make", target, *(_spelt(*item) for item in (given | said).items())])


def _spelt(name: str, value: str) -> str:
    """As a shell takes it, and make behind it, for which a `$` is its own."""
    return f"{name}={shlex.quote(value.replace('$', '$$'))}"
