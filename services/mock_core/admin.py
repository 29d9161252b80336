"""The routes under `/admin`: faults, ledger, stats, verdict, trace, journal, config, reset."""

import json
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request
from pydantic import AfterValidator, Field

from services.mock_core.clock import rfc3339
from services.mock_core.faults.presets import PRESETS
from services.mock_core.faults.rules import read_plan
from services.mock_core.ledger import judge
from services.mock_core.mock import Mock, TheMock
from services.mock_core.problems import Problem, documented
from shared.http.bodies import require_json
from shared.http.mistakes import DIGITS
from shared.http.queries import ONLY_KNOWN


async def _no_form(request: Request) -> None:
    """Refuse forms, which any page may post; their media type is never JSON's."""
    if "content-type" in request.headers:
        require_json(request.headers)


router = APIRouter(
    prefix="/admin",
    tags=["admin"],
    dependencies=[Depends(_no_form), ONLY_KNOWN],
    responses=documented(415, 422),
)
Count = Annotated[int, Field(ge=1), DIGITS]


def _json_only(body: dict[str, Any]) -> dict[str, Any]:
    """Refuse NaN and Infinity, which JSON lacks, because the routes return what they take."""
    try:
        json.dumps(body, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("It contains half of a surrogate pair.") from error
    except ValueError as error:
        raise ValueError("It holds NaN or Infinity, which JSON doesn't have.") from error
    return body


JsonObject = Annotated[dict[str, Any], Body(), AfterValidator(_json_only)]


def faults_answer(mock: Mock) -> dict[str, Any]:
    return {
        "service": mock.service,
        "seed": mock.plan.seed,
        "rules": mock.plan.rows(),
        "presets": [
            {"name": name, "says": it.says, "expect": it.expect, "fatal": it.fatal}
            for name, it in PRESETS.items()
        ],
    }


@router.get("/faults")
async def get_faults(mock: TheMock) -> dict[str, Any]:
    """The armed rules with the number of their hits, and all presets."""
    return faults_answer(mock)


@router.put("/faults")
async def put_faults(mock: TheMock, plan: JsonObject) -> dict[str, Any]:
    """Replace the plan: `{"rules": […]}`, one rule, or `{"preset": name}`."""
    wanted = read_plan(plan, mock.settings.mock_services)
    mock.plan.replace(wanted.rules, wanted.seed)
    return faults_answer(mock)


@router.post("/faults")
async def post_faults(mock: TheMock, plan: JsonObject) -> dict[str, Any]:
    """Add to the plan; a rule replaces an armed one of its name. `added` names the new rules."""
    wanted = read_plan(plan, mock.settings.mock_services)
    added = mock.plan.add(wanted.rules, wanted.seed)
    return {**faults_answer(mock), "added": added}


@router.delete("/faults", responses=documented(404))
async def delete_faults(mock: TheMock, name: str | None = None) -> dict[str, Any]:
    """Remove every rule, or the one of this name."""
    if name is None:
        mock.plan.clear()
    elif not mock.plan.remove(name):
        raise Problem(404, "not_found", detail=f"no rule named {name!r} is armed")
    return faults_answer(mock)


@router.get("/ledger")
async def get_ledger(
    mock: TheMock,
    external_id: str | None = None,
    limit: Count | None = None,
) -> list[dict[str, Any]]:
    """One row per accepted generation in order of acceptance; the last `limit` of them."""
    rows = [row for row in mock.ledger if external_id is None or row.external_id == external_id]
    return [row.row() for row in (rows if limit is None else rows[-limit:])]


@router.get("/stats")
async def get_stats(mock: TheMock) -> dict[str, Any]:
    """Counts since the last reset; `in_flight` counts what was accepted and has not ended."""
    ledger = mock.ledger
    return {
        "in_flight": ledger.in_flight,
        "max_in_flight": ledger.max_in_flight,
        "accepted_later": mock.runner.accepted_later,
        "accepted": ledger.accepted,
        "charged": ledger.charged,
        "duplicates": ledger.duplicates,
        "ledger_dropped": ledger.dropped,
        "callbacks_pending": mock.sender.pending,
        "faults_injected": mock.plan.injected,
        "rules_armed": mock.plan.in_force,
        "plan_version": mock.plan.version,
        "file_bytes": mock.files.size,
        "speed": mock.clock.speed,
    }


@router.get("/verdict")
async def get_verdict(mock: TheMock) -> dict[str, Any]:
    """What a bill would show; callbacks that are still on their way count as pending."""
    verdict = judge(mock.ledger, fetched_late=mock.fetched_late)
    return {**verdict, "callbacks_pending": mock.sender.pending}


@router.get("/trace")
async def get_trace(mock: TheMock) -> dict[str, Any]:
    """Every injected fault, oldest first."""
    return {"recorded": mock.plan.injected, "rows": mock.plan.trace()}


@router.get("/journal")
async def get_journal(
    mock: TheMock,
    path: str = "",
    method: str = "",
    status: Annotated[int, Field(ge=0), DIGITS] | None = None,
    limit: Annotated[int, Field(ge=1, le=5000), DIGITS] = 100,
) -> list[dict[str, Any]]:
    """Requests to the vendor's own routes, newest first."""
    found = (
        {**row, "at": rfc3339(row["at"])}
        for row in reversed(mock.journal)
        if path in row["path"]
        and method in ("", row["method"])
        and status in (None, row["status"] or 0)
    )
    return list(islice(found, limit))


@router.get("/config")
async def get_config(mock: TheMock) -> dict[str, Any]:
    """What can be changed while the mock runs."""
    return mock.config.model_dump(mode="json")


@router.put("/config")
async def put_config(mock: TheMock, changes: JsonObject) -> dict[str, Any]:
    """Change the given members; a body with mistakes is refused whole, and each is named."""
    mock.configure(mock.config.changed(changes))
    return await get_config(mock)


@router.post("/restart")
async def post_restart(mock: TheMock) -> dict[str, int]:
    """Restart as the vendor would: forget every id; files and ledger stay."""
    return {"forgotten": mock.forget_ids()}


@router.post("/reset")
async def post_reset(mock: TheMock) -> dict[str, bool]:
    """Forget everything except the configuration: jobs, files, ledger, journal, trace."""
    await mock.reset()
    return {"reset": True}
