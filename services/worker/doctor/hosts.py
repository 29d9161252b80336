"""Whether the hosts that results may come from are there, and where they may be."""

import asyncio
from collections.abc import Iterable
from urllib.parse import urlsplit

from services.worker.results.fetching import Resolve
from services.worker.settings.addresses import Address, is_public
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.findings import Finding, ok, warning
from services.worker.vendors.vendor import Traits

CHECK = "result hosts"
SECONDS = 5.0
_PORTS = {"http": 80, "https": 443}


async def result_hosts(
    settings: WorkerSettings, traits: Iterable[Traits], *, resolve: Resolve
) -> list[Finding]:
    """A warning for each that leads nowhere or inside. Of `*.domain` and of the vendors' own, which
    are many and change, only where not a single one is known. A proxy looks them up by itself.
    """
    own = frozenset(host for each in traits for host in each.result_hosts)
    named = settings.outside_hosts(*own)
    if not named or settings.proxy():
        return []
    many = sorted(name for name in named if name in own or name.startswith("*."))
    reasons = await asyncio.gather(*(_reason(it, resolve) for it in sorted(named - {*many})))
    wrong = [warning(CHECK, reason) for reason in reasons if reason]
    if many and not any(await asyncio.gather(*(_leads_on(name, resolve) for name in many))):
        wrong.append(warning(CHECK, f"none is known here: {', '.join(many)}"))
    return wrong or [ok(CHECK, f"known: {', '.join(sorted(named))}")]


async def addresses(host: str, port: int, resolve: Resolve) -> list[Address]:
    """Where a name leads; nowhere where nobody knows it, or nobody says so in time."""
    try:
        async with asyncio.timeout(SECONDS):
            return await resolve(host, port)
    except (OSError, TimeoutError):
        return []


async def led_to(url: str, resolve: Resolve) -> list[Address]:
    """Where the host of an address is."""
    parts = urlsplit(url)
    return await addresses(parts.hostname or "", parts.port or _PORTS[parts.scheme], resolve)


def are_public(found: list[Address]) -> bool:
    """Whether the internet can reach all of them, of one at least."""
    return bool(found) and all(map(is_public, found))


async def _leads_on(name: str, resolve: Resolve) -> bool:
    """Of `*.domain`, the domain."""
    parts = urlsplit(f"//{name.removeprefix('*.')}")
    return bool(await addresses(parts.hostname or name, parts.port or _PORTS["https"], resolve))


async def _reason(name: str, resolve: Resolve) -> str | None:
    parts = urlsplit(f"//{name}")
    host = parts.hostname or name
    found = await addresses(host, parts.port or _PORTS["https"], resolve)
    if not found:
        return f"{name} leads to no address: nothing can be fetched from there (RESULT_HOSTS)"
    inside = [each for each in found if not is_public(each) and str(each) != host]
    if inside:
        return f"{name} leads to {inside[0]}, which is not public: results from there are refused"
    return None
