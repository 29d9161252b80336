"""The API may be open to other machines with a token alone; said before anything is made ready."""

from compose.stack.services import API, CALLBACK
from compose.stack.settings.checks import Checks
from compose.stack.settings.load import LOOPBACK, Settings

WAYS_OUT = (
    f"set API_TOKEN, or {API.bind}={LOOPBACK};"
    f" {CALLBACK.bind} opens the callback receiver, which a vendor needs, alone"
)


def check(settings: Settings) -> None:
    """StackError, in one line with the ways out, where the API would be open without a token."""
    if is_missing_token(settings):
        name = API.bind if API.bind in settings.values else "BIND_ADDRESS"
        checks = Checks(settings.values, settings.origins)
        checks.refuse(name, f"opens the API to other machines without a token: {WAYS_OUT}")
        checks.raise_if_wrong()


def is_missing_token(settings: Settings) -> bool:
    """Whether whoever reaches this machine could do all that the API can."""
    return settings.exposed and "API_TOKEN" not in settings.values
