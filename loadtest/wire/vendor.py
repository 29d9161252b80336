"""A mock's own books, read through its admin calls and never written unless asked."""

import secrets
import time
from typing import Any

from loadtest.wire.http import Http, Unreachable, problem


class Refused(Exception):
    """A mock does not take the faults that were asked for; it says why."""


class Vendor(Http):
    def __init__(self, name: str, base_url: str, **how: Any) -> None:
        super().__init__(base_url, **how)
        self.name = name

    async def ledger(self, *, newest: int | None = None) -> list[dict[str, Any]]:
        """Return one row per accepted generation, or the last so many of them."""
        return _rows(await self.read(f"/admin/ledger{f'?limit={newest}' if newest else ''}"))

    async def clock(self) -> dict[str, Any] | None:
        """Read the mock's clock as of a request, between its sending and its answer.

        The mock notes every call of its own routes, also of those that there are not.
        """
        path = f"/{secrets.token_hex(8)}"
        sent = time.time()
        await self.get(path)
        answered = time.time()
        noted = await self.read(f"/admin/journal?limit=1&path={path}")
        if not isinstance(noted, list) or not noted:
            return None
        return {"sent_at": sent, "answered_at": answered, "theirs": noted[0].get("at")}

    async def trace(self) -> tuple[int, list[dict[str, Any]]]:
        """Return every fault that was injected and is still remembered, and how many there were."""
        body = await self.read("/admin/trace")
        kept = _rows(body)
        return int(body.get("recorded", len(kept))) if isinstance(body, dict) else 0, kept

    async def arm(self, plan: dict[str, Any]) -> None:
        """Add rules to the fault plan; raises Refused with every mistake in it."""
        answer = await self.post("/admin/faults", json=plan)
        if answer.status_code == 422:
            raise Refused(f"the {self.name} service refuses the faults: {problem(answer)}")
        if not answer.is_success:
            raise Unreachable(f"{self.name} POST /admin/faults: {problem(answer)}")

    async def disarm(self, rule: str) -> None:
        """Remove the rule of this name; one that is gone already is no error."""
        await self.delete("/admin/faults", params={"name": rule})

    async def rules(self) -> dict[str, dict[str, Any]]:
        body = await self.read("/admin/faults")
        return {str(rule.get("name")): rule for rule in _rows(body.get("rules"))}

    async def reset(self) -> None:
        """Forget everything but the configuration."""
        answer = await self.post("/admin/reset")
        if not answer.is_success:
            raise Unreachable(f"{self.name} POST /admin/reset: {problem(answer)}")


async def receipts(http: Http, job_id: str) -> list[dict[str, Any]]:
    """Return what the callback receiver noted for one job."""
    return _rows(await http.read("/callbacks", {"job_id": job_id}))


def _rows(body: Any) -> list[dict[str, Any]]:
    """Return the objects of a list, or of the list that is in an object."""
    if isinstance(body, dict):
        body = next((value for value in body.values() if isinstance(value, list)), [])
    return [row for row in body if isinstance(row, dict)] if isinstance(body, list) else []
