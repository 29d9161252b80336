"""Connections to object stores by the settings; without keys, by what the machine is known for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store
from pydantic import SecretStr

from shared.store.objects import Connection
from shared.store.probe import StoreRefused
from shared.store.settings import StoreSettings

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

# One request, and all its repetitions: whoever asks has something to answer by then.
SECONDS, TRIED_SECONDS = 10, 10
CONNECT_SECONDS = 3


def connected(settings: StoreSettings) -> Connection:
    """The connection; nothing is sent before it is used. StoreRefused, without a word of a key."""
    try:
        return _connection(settings)
    except BaseError:
        raise StoreRefused("STORE_KEY or STORE_SECRET is none that such a store takes") from None


def _connection(settings: StoreSettings) -> Connection:
    scheme, _, place = settings.store_url.partition("://")
    container, _, prefix = place.strip("/").partition("/")
    endpoint = str(settings.store_endpoint).rstrip("/") if settings.store_endpoint else None
    key, secret = _plain(settings.store_key), _plain(settings.store_secret)
    client, retries = _client(endpoint), _retries()
    if scheme == "s3":
        return S3Store(
            container,
            prefix=prefix or None,
            client_options=client,
            retry_config=retries,
            config=_given(access_key_id=key, secret_access_key=secret, endpoint=endpoint),
            region=settings.store_region,
        )
    if scheme == "gs":
        return GCSStore(
            container,
            prefix=prefix or None,
            client_options=client,
            retry_config=retries,
            config=_given(service_account_key=secret),
        )
    return AzureStore(
        container,
        prefix=prefix or None,
        client_options=client,
        retry_config=retries,
        config=_given(account_name=key, account_key=secret, endpoint=endpoint),
    )


def _client(endpoint: str | None) -> ClientConfig:
    return {
        "timeout": timedelta(seconds=SECONDS),
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "allow_http": bool(endpoint and endpoint.startswith("http://")),
    }


def _retries() -> RetryConfig:
    return {"max_retries": 3, "retry_timeout": timedelta(seconds=TRIED_SECONDS)}


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _given(**config: str | None) -> Any:
    """Those that are set; the library looks in its own environment for the others."""
    return {name: value for name, value in config.items() if value is not None}
