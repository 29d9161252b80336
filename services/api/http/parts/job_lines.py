"""Asks every process of ours what it has logged of a job; who is silent is named."""

import asyncio
from collections.abc import Sequence
from typing import Self

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from services.api.http.parts import upstream
from services.api.settings import ApiSettings
from shared.telemetry.job_lines import JobLine

# So many of a job are shown, the newest ones.
MOST_SHOWN = 300
_LINES = TypeAdapter(list[JobLine])


class Lines(BaseModel):
    """A job's lines, the oldest first; `silent`: who did not answer."""

    model_config = ConfigDict(frozen=True)

    lines: tuple[JobLine, ...] = ()
    silent: tuple[str, ...] = ()

    def with_own(self, own: Sequence[JobLine]) -> Self:
        """These and those of this process, by their times."""
        found = sorted([*self.lines, *own], key=lambda line: line.at)
        return self.model_copy(update={"lines": tuple(found[-MOST_SHOWN:])})


async def gathered(http: httpx.AsyncClient, settings: ApiSettings, job_id: str) -> Lines:
    """What the workers, the semaphore and the callback receiver have."""
    bases = settings.upstreams
    workers = await upstream.workers(bases["worker"], settings.workers)
    asked = {f"worker {number}": base for number, base in enumerate(workers, 1)}
    asked |= {name: bases[name] for name in ("semaphore", "callback")}
    answers = await asyncio.gather(
        *(
            _asked(http, base, job_id, key=settings.operator_key if name == "callback" else None)
            for name, base in asked.items()
        )
    )
    silent = [name for name, answer in zip(asked, answers, strict=True) if answer is None]
    return Lines(lines=tuple(line for each in answers for line in each or ()), silent=tuple(silent))


async def _asked(
    http: httpx.AsyncClient, base: str, job_id: str, *, key: SecretStr | None
) -> list[JobLine] | None:
    query = {"job_id": job_id}
    try:
        async with asyncio.timeout(upstream.PATIENCE_SECONDS):
            answer = await upstream.forward(http, "GET", f"{base}/lines", query=query, key=key)
        return _LINES.validate_json(answer.content)
    except (upstream.UpstreamAway, TimeoutError, ValidationError):
        return None
