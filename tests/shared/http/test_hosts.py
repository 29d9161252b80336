"""Names of hosts as settings and requests spell them."""

import pytest

from shared.http import hosts


def test_host_of_a_request() -> None:
    for text, host in (
        ("localhost", "localhost"),
        ("LocalHost:8000", "localhost"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("[::1]:8000", "[::1]"),
        ("mock-kling:16882", "mock-kling"),
        ("", None),
        (":80", None),
        ("a:b", None),
        ("a:123456", None),
        ("a b", None),
        ("a@localhost", None),
        ("localhost/", None),
        ("localhost\n", None),
        ("[::1", None),
        ("::1", None),
        ("локалхост", None),
        ("localhost, localhost", None),
    ):
        assert hosts.host_of_authority(text) == host
        assert hosts.host_of_origin(f"https://{text}") == host


@pytest.mark.parametrize(
    "origin", ["null", "", "localhost", "file://localhost", "http://", "http://["]
)
def test_invalid_origins(origin: str) -> None:
    assert hosts.host_of_origin(origin) is None


def test_list_is_written_as_browsers_do() -> None:
    text = " Gateway.Example,, 10.0.0.1,[2001:DB8:0::1], ::1 "
    assert hosts.listed(text) == {"gateway.example", "10.0.0.1", "[2001:db8::1]", "[::1]"}
    assert hosts.listed("") == frozenset()


@pytest.mark.parametrize("wrong", ["a:80", "http://a", "*", "a/b", "[::1]:80", "a b", ".a", "*.a"])
def test_wrong_host_is_named(wrong: str) -> None:
    with pytest.raises(ValueError, match="without a port") as caught:
        hosts.listed(f"good,{wrong}")
    assert str(caught.value).endswith(f": {wrong}")


def test_loopback() -> None:
    for address, loopback in (
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("somewhere", False),
    ):
        assert hosts.is_loopback(address) == loopback
