"""`make try`: one job by the current vendors, after saying what it uses and asking.

It is followed to its end, and reported with its files and charges.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from compose.stack import checks, modes
from compose.stack.asking import Unanswered, api
from compose.stack.commands import lifecycle
from compose.stack.given import Saved
from compose.stack.output import UNREACHABLE, VERDICT, StackError, agreed, complain, paint, say
from compose.stack.services import API
from compose.stack.settings import Settings

ORDER = {"PROMPT": "a red fox in fresh snow looks up", "STYLE": "ink on paper"}
TAG = "try"
POLL_SECONDS = 0.5
# The API may be away for this long while the job goes on.
PATIENCE = 120.0
AGAIN = "a generation that fails at the vendor is repeated, at most three times"


def run(settings: Settings, environ: Mapping[str, str]) -> int:
    """Submit PROMPT in STYLE after a person or YES=1 has agreed; return 0 for a success."""
    sure = environ.get("YES") == "1"
    if not sure and not sys.stdin.isatty():
        raise StackError("make try may cost money and asks first; without a terminal use YES=1")
    order = {name.lower(): environ.get(name) or usual for name, usual in ORDER.items()}
    # Announce what the running workers were started with, also if `.env` has changed since.
    lifecycle.up(settings)
    settings = settings.model_copy(update={"running": Saved.read(settings.run_dir).mode})
    found, offers = checks.examine(modes.chosen(settings), receiver=True)
    findings = [each for each in found if settings.vendor_checks == "on" or not each.needed]
    checks.refuse(findings, "nothing was submitted")
    say(f"one job: {order['prompt']} ({order['style']})")
    for stage, offer in offers.items():
        say(f"  {stage}  {offer}")
    if not settings.real:
        cost = "nothing, because these are mocks"
    elif settings.mocked:
        cost = f"one {settings.real[0]}, because the other vendor is a mock; {AGAIN}"
    else:
        cost = f"one generation of each; {AGAIN}"
    say(f"  cost   {cost}")
    if not sure and not agreed("submit it?"):
        raise StackError("nothing was submitted")
    record = _followed(settings, _submitted(settings, order))
    ended, *details = _report(settings, record)
    say(ended)
    for line in details:
        say(f"  {line}")
    return 0 if record["status"] == "succeeded" else VERDICT


def _submitted(settings: Settings, order: Mapping[str, str]) -> str:
    """Return the id of the new job; without an answer, print how to find and end it."""
    try:
        return str(api(settings, "/jobs", {**order, "tag": TAG})["job_id"])
    except Unanswered as error:
        jobs = f"{settings.url(API.port)}/jobs"
        raise StackError(
            f"{error}; the job may have been started: {jobs}?tag={TAG} lists it, and"
            f" POST {jobs}/JOB_ID/cancel ends it",
            UNREACHABLE,
        ) from error


def _followed(settings: Settings, job_id: str) -> dict[str, Any]:
    """Return the record of the job when it has ended; print each change meanwhile."""
    url = f"{settings.url(API.port)}/jobs/{job_id}"
    say(f"{job_id}: {url}")
    printed, answered = 0, time.monotonic()
    try:
        while time.monotonic() - answered < PATIENCE:
            try:
                record: dict[str, Any] = api(settings, f"/jobs/{job_id}/record")
            except Unanswered:
                time.sleep(POLL_SECONDS)
                continue
            for change in record["transitions"][printed:]:
                step = change["step"] or change["status"]
                since = _seconds(record["created_at"], change["at"])
                say(f"  {since:6.1f} s  {step:<9} {change['percent']:>3} %  {change['note']}")
            printed = len(record["transitions"])
            if record["finished_at"]:
                return record
            answered = time.monotonic()
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        complain(f"the job goes on; POST {url}/cancel ends it")
        raise
    raise StackError(f"the API does not answer, and {job_id} may go on; make ps", UNREACHABLE)


def _seconds(begin: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def _report(settings: Settings, record: Mapping[str, Any]) -> Iterator[str]:
    """Yield how the job ended, where its files are, and what was accepted and charged."""
    style = "good" if record["status"] == "succeeded" else "bad"
    took = _seconds(record["created_at"], record["finished_at"])
    error = f": {record['error']['message']}" if record["error"] else ""
    yield paint(f"{record['status']} after {took:.1f} s{error}", style)
    folder, root = settings.data_dir / "assets" / record["job_id"], settings.root
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    files = [path.relative_to(root) if path.is_relative_to(root) else path for path in found]
    # If the workers keep them elsewhere, only the API knows.
    for place in files or filter(None, [record["asset_url"]]):
        yield str(place)
    accepted = " and ".join(f"{record['attempts'][stage]} {stage}" for stage in ("image", "video"))
    yield f"accepted by the {'vendors' if settings.real else 'mocks'}: {accepted}"
    for generation, units in record.get("units", {}).items():
        yield f"charged: {units} units for {generation}"
    if settings.real and not record.get("units"):
        yield "charged: no vendor reports it; look into its account"
