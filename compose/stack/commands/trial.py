"""`make try`: one job by the current vendors, after saying what it uses and asking.

It is followed to its end, and reported with its files and charges.
"""

import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from compose.stack import checks, choice
from compose.stack.asking import Unanswered, api, call
from compose.stack.checks import Examination
from compose.stack.commands import lifecycle
from compose.stack.output import UNREACHABLE, VERDICT, StackError, agreed, complain, paint, say
from compose.stack.services import API, MOCKS
from compose.stack.settings import Settings

ORDER = {"PROMPT": "a red fox in fresh snow looks up", "STYLE": "ink on paper"}
TAG = "try"
POLL_SECONDS = 0.5
# A submit without an answer is sent again under the same key, and is the same job.
SUBMITS, SUBMIT_PAUSE = 3, 1.0
# The API may be away for this long while the job goes on.
PATIENCE = 120.0
STAGES = ("image", "video")
AGAIN = "a generation that fails at the vendor is repeated, at most three times"


def run(settings: Settings, environ: Mapping[str, str]) -> int:
    """Submit PROMPT in STYLE after a person or YES=1 has agreed; return 0 for a success."""
    sure = environ.get("YES") == "1"
    if not sure and not sys.stdin.isatty():
        raise StackError("make try may cost money and asks first; without a terminal use YES=1")
    order = {name.lower(): environ.get(name) or usual for name, usual in ORDER.items()}
    # Announce what the running workers were started with, also if `.env` has changed since.
    settings = lifecycle.renewed(settings)
    found = checks.examine(choice.chosen(settings), receiver=True)
    findings = [each for each in found.findings if settings.vendor_checks or not each.needed]
    checks.refuse(findings, "nothing was submitted")
    _announce(settings, order, found)
    if not sure and not agreed("submit it?"):
        raise StackError("nothing was submitted")
    return _report(settings, _followed(settings, _submitted(settings, order)))


def _announce(settings: Settings, order: Mapping[str, str], found: Examination) -> None:
    """Print what would be made, by whom, and what it costs, as far as it is known."""
    say(f"one job: {order['prompt']} ({order['style']})")
    for stage, offer in found.offers.items():
        say(f"  {stage}  {offer}")
    if not settings.real:
        cost = "nothing, because these are mocks"
    elif settings.mocks:
        cost = f"one {settings.real[0]}, because the other vendor is a mock; {AGAIN}"
    else:
        cost = f"one generation of each; {AGAIN}"
    say(f"  cost   {cost}")


def _submitted(settings: Settings, order: Mapping[str, str]) -> str:
    """Return the id of the new job; without an answer, print how to find and end it."""
    key = {"Idempotency-Key": secrets.token_hex(16)}
    for left in reversed(range(SUBMITS)):
        try:
            return str(api(settings, "/jobs", {**order, "tag": TAG}, headers=key)["job_id"])
        except Unanswered as error:
            if not left:
                raise _unsubmitted(settings, error) from error
        time.sleep(SUBMIT_PAUSE)
    raise AssertionError


def _unsubmitted(settings: Settings, error: Unanswered) -> StackError:
    jobs = f"{settings.url(API.port)}/jobs"
    return StackError(
        f"{error}; the job may have been started: {jobs}?tag={TAG} lists it, and"
        f" POST {jobs}/JOB_ID/cancel ends it",
        UNREACHABLE,
    )


def _followed(settings: Settings, job_id: str) -> dict[str, Any]:
    """Return the record of the job when it has ended; print each change meanwhile."""
    say(f"{job_id}: {settings.url(API.port)}/jobs/{job_id}")
    printed = 0
    try:
        for record in _records(settings, job_id):
            for change in record["transitions"]:
                if change["version"] > printed:
                    printed = change["version"]
                    say(_line(record, change))
            if record["finished_at"]:
                return record
    except KeyboardInterrupt:
        complain(f"the job goes on; POST {settings.url(API.port)}/jobs/{job_id}/cancel ends it")
        raise
    raise StackError(f"the API does not answer, and {job_id} may go on; make ps", UNREACHABLE)


def _records(settings: Settings, job_id: str) -> Iterator[dict[str, Any]]:
    """Yield the record again and again, once it exists; stop if the API gives none."""
    answered = time.monotonic()
    while time.monotonic() - answered < PATIENCE:
        try:
            yield api(settings, f"/jobs/{job_id}/record")
            answered = time.monotonic()
        except Unanswered:
            pass
        time.sleep(POLL_SECONDS)


def _line(record: Mapping[str, Any], change: Mapping[str, Any]) -> str:
    since = _moment(change["at"]) - _moment(record["created_at"])
    step = change["step"] or change["status"]
    return f"  {since.total_seconds():6.1f} s  {step:<9} {change['percent']:>3} %  {change['note']}"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _report(settings: Settings, record: Mapping[str, Any]) -> int:
    """Print how it ended, where its files are, what was charged."""
    good = record["status"] == "succeeded"
    took = _moment(record["finished_at"]) - _moment(record["created_at"])
    error = f": {record['error']['message']}" if record["error"] else ""
    say(
        paint(
            f"{record['status']} after {took.total_seconds():.1f} s{error}",
            "good" if good else "bad",
        )
    )
    # If the workers keep them elsewhere, only the API knows.
    for place in _files(settings, record["job_id"]) or filter(None, [record["asset_url"]]):
        say(f"  {place}")
    for line in _charged(settings, record):
        say(f"  {line}")
    return 0 if good else VERDICT


def _files(settings: Settings, job_id: str) -> list[Path]:
    folder = settings.data_dir / "assets" / job_id
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    root = settings.root
    return [path.relative_to(root) if path.is_relative_to(root) else path for path in found]


def _charged(settings: Settings, record: Mapping[str, Any]) -> Iterator[str]:
    """Print what was accepted, and what it cost by the vendors and the mocks' ledgers."""
    accepted = " and ".join(f"{record['attempts'][stage]} {stage}" for stage in STAGES)
    yield f"accepted by the {'vendors' if settings.real else 'mocks'}: {accepted}"
    for generation, units in record.get("units", {}).items():
        yield f"charged: {units} units for {generation}"
    if mocks := [mock for mock in MOCKS if mock.mock in settings.mocks]:
        ledgers = (call(f"{settings.url(mock.port)}/admin/ledger") for mock in mocks)
        rows = [row for ledger in ledgers for row in ledger]
        mine = [row for row in rows if str(row["external_id"]).startswith(f"{record['job_id']}.")]
        paid = sum(row["charged"] for row in mine)
        printed = f"{paid} of {len(mine)} would have been charged"
        yield f"{printed}: the {mocks[0].mock} service is a mock" if settings.real else printed
    if settings.real and not record.get("units"):
        yield "charged: no vendor reports it; look into its account"
