"""The store that the settings name."""

from shared.store.folder import Folder
from shared.store.protocol import Store
from shared.store.settings import StoreSettings


def chosen_store(settings: StoreSettings) -> Store:
    """The store of the settings; nothing is asked of it yet."""
    if not settings.elsewhere:
        return Folder(settings.data_dir)
    # Not before: a stack of one machine has no use for the library.
    from shared.store.connecting import connected
    from shared.store.objects import Objects

    return Objects(connected(settings))
