"""`python -m temporal_semaphore`: by which exit status it answers."""

import pytest

from shared.semaphore.__main__ import main


@pytest.mark.parametrize(
    "words",
    [
        ("limit", "pool", "0"),
        ("limit", "pool", "1001"),
        ("limit", "pool", "-1"),
        ("limit", "pool", "two"),
        ("limit", "pool", "1_0"),
        ("limit", "pool", "+1"),
        ("limit", "", "1"),
        ("pause", "a'b"),
        ("resume", "a\\"),
        ("show", "x" * 201),
        ("serve", "pool", "a'b"),
    ],
)
def test_values_out_of_bounds_are_usage_errors_without_a_call(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--address", "127.0.0.1:1", *words])
    assert ended.value.code == 2


@pytest.mark.parametrize("address", ["127.0.0.1:1", "a b:1"])
def test_unreachable_address(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--address", address, "show", "pool"]) == 1
    assert capsys.readouterr().err
