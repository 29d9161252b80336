"""Settings of the store; one line names each mistake, and no key is in a message."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, AnyHttpUrl, Field, SecretStr, model_validator

from shared.settings.common import CommonSettings

FOLDER = "file:"
_BUCKET = r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}"
_PREFIX = r"(/[A-Za-z0-9!_.*'()-]+)*/?"
_OBJECTS = re.compile(rf"s3://{_BUCKET}{_PREFIX}")


def _is_store(url: str) -> str:
    if url != FOLDER and not _OBJECTS.fullmatch(url):
        raise ValueError("file: (the folder DATA_DIR), or s3://bucket/prefix")
    return url


class StoreSettings(CommonSettings):
    """Settings of every user of the store; keys come from the environment only."""

    store_url: Annotated[str, AfterValidator(_is_store)] = FOLDER
    store_endpoint: AnyHttpUrl | None = None
    store_region: Annotated[str, Field(pattern="^[a-z0-9-]{1,40}$")] = "us-east-1"
    store_key: SecretStr | None = None
    store_secret: SecretStr | None = None

    def refusal(self, *, away: bool) -> str | None:
        """Return why that store must not be used; with `away` also why it can't be used now."""
        from shared.store.chosen import StoreRefused, chosen_store, probe
        from shared.store.protocol import StoreAway

        try:
            probe(chosen_store(self))
        except StoreAway as error:
            if away or isinstance(error, StoreRefused):
                return f"STORE_URL: {error.message}"
        return None

    @property
    def elsewhere(self) -> bool:
        return self.store_url != FOLDER

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        given = {
            "STORE_ENDPOINT": self.store_endpoint is not None,
            "STORE_KEY": self.store_key is not None,
            "STORE_SECRET": self.store_secret is not None,
        }
        if not self.elsewhere and any(given.values()):
            names = ", ".join(name for name, there in given.items() if there)
            raise ValueError(f"STORE_URL=file: does not use {names}")
        if (self.store_key is None) != (self.store_secret is None):
            raise ValueError("STORE_KEY and STORE_SECRET go together")
        return self
