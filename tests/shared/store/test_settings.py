"""Settings of the store: one line for each mistake, and no key in it."""

from typing import Any

import pytest
from pydantic import ValidationError

from shared.store.settings import StoreSettings
from tests.fixtures.object_store import given_for, moto_server, settings_for


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"store_url": "s3:bucket"}, "s3://bucket/prefix"),
        ({"store_url": "file:/elsewhere"}, "file: (the folder DATA_DIR)"),
        ({"store_url": "s3://bucket/../other?x"}, "s3://bucket/prefix"),
        ({"store_key": "abcd"}, "STORE_URL=file: has no use for STORE_KEY"),
        ({"store_url": "s3://bucket", "store_key": "abcd"}, "go together"),
        ({"store_url": "gs://bucket", "store_key": "abcd"}, "takes STORE_SECRET alone"),
        ({"store_url": "az://box", "store_secret": "abcd"}, "needs STORE_KEY"),
    ],
)
def test_what_does_not_fit_is_refused_without_its_key(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        StoreSettings.model_validate(given)
    (error,) = refused.value.errors(include_input=False, include_url=False)
    assert said in error["msg"]
    assert "abcd" not in error["msg"]


def test_a_store_is_looked_at_before_anything_begins() -> None:
    assert StoreSettings().refusal(away=True) is None
    nobody = settings_for("http://127.0.0.1:9")
    assert nobody.refusal(away=False) is None
    assert nobody.refusal(away=True) == "STORE_URL: the store does not answer"
    with moto_server(ignored="If-Match") as address:
        refused = settings_for(address).refusal(away=False)
    assert refused is not None
    assert refused.startswith("STORE_URL: the store ignores If-Match of a write")


@pytest.mark.parametrize(
    "given",
    [
        {"store_url": "gs://bucket", "store_secret": "abcd no JSON"},
        {
            "store_url": "gs://bucket",
            "store_secret": '{"private_key": "abcd", "client_email": "e"}',
        },
        {"store_url": "az://box", "store_key": "account", "store_secret": "abcd no base64"},
    ],
)
def test_a_key_of_no_form_is_refused_in_one_line(given: dict[str, Any]) -> None:
    refused = StoreSettings.model_validate(given).refusal(away=False)
    assert refused == "STORE_URL: STORE_KEY or STORE_SECRET is none that such a store takes"


def test_no_key_is_shown() -> None:
    assert "a-key" not in repr(settings_for("http://127.0.0.1:9"))
    assert given_for("http://127.0.0.1:9")["store_secret"].get_secret_value() == "a-key"
