"""`make try`: one job by the vendors as they are, after saying what it takes and asking; it is
followed to its end, and told with its files and with what was charged."""

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
# For so long the API may be away while the job goes on.
PATIENCE = 120.0
STAGES = ("image", "video")
AGAIN = "a generation that fails at the vendor is made anew, three times at the most"


def run(settings: Settings, environ: Mapping[str, str]) -> int:
    """Submit PROMPT in STYLE once that is agreed to, by a person or by YES=1; 0 for a success."""
    sure = environ.get("YES") == "1"
    if not sure and not sys.stdin.isatty():
        raise StackError("make try may cost money and asks first; without a terminal say YES=1")
    order = {name.lower(): environ.get(name) or usual for name, usual in ORDER.items()}
    # What is announced is what the workers that run are told, also of an `.env` changed since.
    settings = lifecycle.renewed(settings)
    found = checks.examine(choice.chosen(settings), receiver=True)
    findings = [each for each in found.findings if settings.vendor_checks or not each.needed]
    checks.refuse(findings, "nothing was submitted")
    _announce(settings, order, found)
    if not sure and not agreed("submit it?"):
        raise StackError("nothing was submitted")
    return _told(settings, _followed(settings, _submitted(settings, order)))


def _announce(settings: Settings, order: Mapping[str, str], found: Examination) -> None:
    """What would be made, by whom, and what that takes, as far as it is known."""
    say(f"one job: {order['prompt']} ({order['style']})")
    for stage, offer in found.offers.items():
        say(f"  {stage}  {offer}")
    if not settings.real:
        cost = "nothing, for these are mocks"
    elif settings.mocks:
        cost = f"one {settings.real[0]}, for the other vendor is a mock; {AGAIN}"
    else:
        cost = f"one generation of each; {AGAIN}"
    say(f"  cost   {cost}")


def _submitted(settings: Settings, order: Mapping[str, str]) -> str:
    """The id of the new job; where no answer tells it, how it is found and ended."""
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
    """The record of the job when it has ended; each of its changes is told meanwhile."""
    say(f"{job_id}: {settings.url(API.port)}/jobs/{job_id}")
    told = 0
    try:
        for record in _records(settings, job_id):
            for change in record["transitions"]:
                if change["version"] > told:
                    told = change["version"]
                    say(_line(record, change))
            if record["finished_at"]:
                return record
    except KeyboardInterrupt:
        complain(f"the job goes on; POST {settings.url(API.port)}/jobs/{job_id}/cancel ends it")
        raise
    raise StackError(
        f"the API does not answer any more, and {job_id} may go on; make ps", UNREACHABLE
    )


def _records(settings: Settings, job_id: str) -> Iterator[dict[str, Any]]:
    """The record again and again, from when it is there; no more where nobody gives it."""
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


def _told(settings: Settings, record: Mapping[str, Any]) -> int:
    """How it ended, where its files are, what was charged."""
    good = record["status"] == "succeeded"
    took = _moment(record["finished_at"]) - _moment(record["created_at"])
    error = f": {record['error']['message']}" if record["error"] else ""
    say(
        paint(
            f"{record['status']} after {took.total_seconds():.1f} s{error}",
            "good" if good else "bad",
        )
    )
    # Where the workers keep them elsewhere, the API alone knows.
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
    """What was accepted; what that cost by the vendors' own words, and by the mocks' ledgers."""
    accepted = " and ".join(f"{record['attempts'][stage]} {stage}" for stage in STAGES)
    yield f"accepted by the {'vendors' if settings.real else 'mocks'}: {accepted}"
    for generation, units in record.get("units", {}).items():
        yield f"charged: {units} units for {generation}"
    if mocks := [mock for mock in MOCKS if mock.mock in settings.mocks]:
        ledgers = (call(f"{settings.url(mock.port)}/admin/ledger") for mock in mocks)
        rows = [row for ledger in ledgers for row in ledger]
        mine = [row for row in rows if str(row["external_id"]).startswith(f"{record['job_id']}.")]
        paid = sum(row["charged"] for row in mine)
        told = f"{paid} of {len(mine)} would have been charged"
        yield f"{told}: the {mocks[0].mock} service is a mock" if settings.real else told
    if settings.real and not record.get("units"):
        yield "charged: no vendor says; look into its own account"
