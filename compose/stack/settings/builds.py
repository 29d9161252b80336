"""The build of a service, as Temporal is told it: a digest of the source that its runs depend on.

The same on every machine and in either mode; none while releases replace one another.
"""

from compose.stack import sources
from compose.stack.services import SEMAPHORE, WORKER
from compose.stack.settings.load import Settings

# Another version of the SDK is another build, too.
_MADE_OF = {
    service.name: ("requirements/services.txt", "shared", service.module.replace(".", "/"))
    for service in (WORKER, SEMAPHORE)
}


def build(settings: Settings, name: str) -> str:
    """Of a service by its name; empty for none, and for one that has no runs."""
    if not settings.pinned or name not in _MADE_OF:
        return ""
    return sources.digest(settings.root, _MADE_OF[name])
