"""Hosts of results are looked up before anything is paid that could not be fetched from there."""

import asyncio

import pytest

from services.worker.doctor import hosts
from services.worker.settings.addresses import Address
from services.worker.vendors.findings import Verdict, ok
from services.worker.vendors.vendor import Traits
from tests.services.worker.doctor.made import PRIVATE, resolve, settings

NONE = Traits()


async def test_nothing_is_said_where_results_come_from_the_vendors_alone() -> None:
    assert await hosts.result_hosts(settings(), [NONE], resolve=resolve) == []


async def test_the_users_and_the_vendors_own_are_looked_up() -> None:
    traits = Traits(result_hosts=("*.cdn.example", "us.example:444"))
    found = await hosts.result_hosts(
        settings(result_hosts=f"kling.example, {PRIVATE}:8188"), [NONE, traits], resolve=resolve
    )
    named = f"*.cdn.example, {PRIVATE}:8188, kling.example, us.example:444"
    assert found == [ok("result hosts", f"known: {named}")]


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("gone.example", "gone.example leads to no address"),
        ("*.gone.example", "none is known here: *.gone.example"),
        ("inside.example:80", f"inside.example:80 leads to {PRIVATE}, which is not public"),
    ],
)
async def test_one_that_gives_nothing_is_a_warning(host: str, says: str) -> None:
    given = settings(result_hosts=f"kling.example,{host}")
    [finding] = await hosts.result_hosts(given, [NONE], resolve=resolve)
    assert finding.verdict is Verdict.WARNING
    assert finding.says.startswith(says)


async def test_a_resolver_that_says_nothing_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(host: str, port: int) -> list[Address]:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(hosts, "SECONDS", 0.01)
    [finding] = await hosts.result_hosts(settings(result_hosts="x.example"), [], resolve=never)
    assert finding.verdict is Verdict.WARNING


async def test_of_the_vendors_own_one_that_is_known_is_enough() -> None:
    some, none = (
        Traits(result_hosts=("*.gone.example", "*.cdn.example")),
        Traits(result_hosts=("*.gone.example", "v1.gone.example")),
    )
    [finding] = await hosts.result_hosts(settings(), [some], resolve=resolve)
    assert finding == ok("result hosts", "known: *.cdn.example, *.gone.example")
    [finding] = await hosts.result_hosts(settings(), [none], resolve=resolve)
    assert finding.verdict is Verdict.WARNING
    assert finding.says == "none is known here: *.gone.example, v1.gone.example"


async def test_what_a_proxy_looks_up_need_not_be_known_here() -> None:
    given = settings(result_hosts="gone.example", vendor_proxy="http://127.0.0.1:1")
    assert await hosts.result_hosts(given, [NONE], resolve=resolve) == []
