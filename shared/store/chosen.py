"""The store that the settings name."""

from shared.store.folder import Folder
from shared.store.probe import StoreRefused, probe
from shared.store.protocol import Store, StoreAway
from shared.store.settings import StoreSettings


def chosen_store(settings: StoreSettings) -> Store:
    """The store of the settings; nothing is asked of it yet."""
    if not settings.elsewhere:
        return Folder(settings.data_dir)
    # Not before: a stack of one machine has no use for the library.
    from shared.store.connecting import connected
    from shared.store.proven import Proven

    return Proven(connected(settings))


def refusal(settings: StoreSettings, *, away: bool) -> str | None:
    """Why nothing may be kept in that store; with `away` also why nothing can be kept now."""
    try:
        probe(chosen_store(settings))
    except StoreRefused as error:
        return error.message
    except StoreAway as error:
        return error.message if away else None
    return None
